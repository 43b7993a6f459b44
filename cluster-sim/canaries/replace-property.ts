/**
 * Replaces a property of a class's prototype: bugs are planted from here, and the sources have no
 * switches for them.
 *
 * @returns puts the right one back
 */
export function replaceProperty(
  prototype: object,
  name: string,
  wrong: { readonly value: unknown } | { readonly get: () => unknown },
): () => void {
  const right = Object.getOwnPropertyDescriptor(prototype, name);
  if (right === undefined) throw new Error(`there is no '${name}' to plant a bug in`);
  Object.defineProperty(prototype, name, { configurable: true, ...wrong });
  return () => void Object.defineProperty(prototype, name, right);
}
