/** What the tokens of the tests are signed with. */
export const JWT_SECRET = "a secret of thirty-two characters"
