/** The volume's uuid: the same in all runs. */
export const VOLUME_UUID = '5a1f9c1e-0000-4000-8000-000000000051';
