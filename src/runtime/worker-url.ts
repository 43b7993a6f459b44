/**
 * @param name - file name without ending, in the folder of the module that asks
 * @param moduleUrl - `import.meta.url` of that module; its ending tells whether the code is compiled
 */
export function workerUrl(name: string, moduleUrl: string): URL {
  return new URL(`./${name}${moduleUrl.endsWith('.ts') ? '.ts' : '.js'}`, moduleUrl);
}
