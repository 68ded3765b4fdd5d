/** Nonces of probes. */

const NONCE_BYTES = 16

/** 16 random bytes, as base64. */
export const newNonce = (): string =>
  btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(NONCE_BYTES))))
