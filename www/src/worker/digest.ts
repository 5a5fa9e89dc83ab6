/** sha256 with the browser's own code, which uses the processor's instructions for it and runs beside this thread. */

/** Browsers keep it from pages that came neither over https nor from this machine; the engine then does it, three times slower. */
const subtle = (globalThis.crypto as Crypto | undefined)?.subtle as SubtleCrypto | undefined;

export const canDigest = subtle !== undefined;

/** The sha256 in lower-case hexadecimal; null where the browser has none to give. */
export function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> | null {
  if (!subtle) return null;
  return subtle
    .digest('SHA-256', bytes)
    .then((digest) =>
      Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join(''),
    );
}
