/** Ends what the integration tests share once all of them are done. */
export async function teardown(): Promise<void> {}
