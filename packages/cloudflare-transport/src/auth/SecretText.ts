/** Comparing a secret, such as a renewal token, with what a client says that it is. */

/** Whether both are the same, in a time that depends on their lengths alone. */
export const sameSecret = (a: string, b: string): boolean => {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % (b.length || 1))
  return difference === 0
}
