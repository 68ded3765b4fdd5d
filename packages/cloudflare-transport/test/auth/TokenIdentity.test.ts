/** Whose a token is, by its own claim, by the deployment's template or by the standard one. */
import { describe, expect, it } from "vitest"
import { identityOf, identityTemplate } from "../../src/auth/TokenIdentity.ts"
import { AuthMisconfigured, TokenRefused } from "../../src/auth/TokenRefused.ts"

const refusal = (give: () => unknown): TokenRefused => {
  try {
    give()
  } catch (error) {
    if (error instanceof TokenRefused) return error
    throw error
  }
  throw new Error("it was not refused")
}

describe("the identity of a token", () => {
  it.each([
    [{ actorId: "user/ada", sub: "@(user/bob)" }, "@(user/ada)"],
    [{ actorId: "@(user/ada)" }, "@(user/ada)"],
    [{ sub: "@(user/ada/tab)" }, "@(user/ada/tab)"],
  ])("of %j is %s", (payload, identity) => {
    expect(identityOf(payload)).toBe(identity)
  })

  it.each([{}, { sub: "ada" }, { sub: "user/ada" }, { sub: 1 }, { actorId: null, sub: "@(user/ada)" }])(
    "%j has none",
    (payload) => {
      expect(refusal(() => identityOf(payload)).code).toBe("unauthorized")
    },
  )

  it.each([{ sub: "@(cloudflare/signal-hub)" }, { sub: "@(session/1)" }])(
    "fault 24: %j, which is reserved, is forbidden",
    (payload) => {
      expect(refusal(() => identityOf(payload)).code).toBe("forbidden")
    },
  )
})

describe("JWT_IDENTITY", () => {
  const template = identityTemplate("@(user/{sub}/{tenant-id})")

  it("makes an address of claims; an actorId goes before it, a sub does not", () => {
    expect(identityOf({ sub: "ada", "tenant-id": "acme" }, template)).toBe("@(user/ada/acme)")
    expect(identityOf({ actorId: "node/1", sub: "ada", "tenant-id": "acme" }, template)).toBe("@(node/1)")
    expect(identityTemplate("@(user/id-{sub})")({ sub: "1" })).toBe("@(user/id-1)")
  })

  it.each([
    { sub: "ada" },
    { sub: "@(user/root)", "tenant-id": "acme" },
    { sub: "ada/root", "tenant-id": "acme" },
    { sub: "..", "tenant-id": "acme" },
    { sub: "", "tenant-id": "acme" },
    { sub: "auth0|1", "tenant-id": "acme" },
    { sub: "*", "tenant-id": "acme" },
    { sub: 1, "tenant-id": "acme" },
    { sub: "a".repeat(101), "tenant-id": "acme" },
    { sub: { toString: () => "ada" }, "tenant-id": "acme" },
  ])("fault 24: refuses %j, whose claims can't be segments", (payload) => {
    const { code, message } = refusal(() => identityOf(payload, template))
    expect(code).toBe("unauthorized")
    expect(message).not.toContain("[object")
  })

  it("takes no claim from the prototype", () => {
    expect(refusal(() => identityTemplate("@(user/{constructor})")({})).code).toBe("unauthorized")
  })

  it("can't make a reserved address", () => {
    expect(refusal(() => identityTemplate("@({kind}/{sub})")({ kind: "session", sub: "1" })).code).toBe(
      "forbidden",
    )
  })

  it.each(["", "user/{sub}", "@(user/ada)", "@(user/{})", "@({sub})", "@(session/{sub})", "@(user/{a b)"])(
    "%j is none: the deployment is misconfigured",
    (text) => {
      expect(() => identityTemplate(text)).toThrow(AuthMisconfigured)
    },
  )
})
