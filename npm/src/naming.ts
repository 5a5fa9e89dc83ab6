/** Errors say which file they are about. */

/** Does something with a file; a refusal names it. A trap of the engine stays what it is: the module cannot be used after it. */
export function naming<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const trap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    if (!(error instanceof Error) || trap || !name || error.message.includes(name)) throw error;
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
}
