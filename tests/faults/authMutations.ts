/** The mutations about tokens and rights. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

/** Tests. */
const AUTHENTICATION = `${TRANSPORT}/test/auth/Authentication.test.ts`
const AUTHORIZATION = `${TRANSPORT}/test/hub/authorization.test.ts`
const CLAIMS = `${TRANSPORT}/test/auth/Claims.test.ts`
const TOKENS = `${TRANSPORT}/test/hub/tokens.test.ts`
const WORKERD_TOKENS = `${TRANSPORT}/test/workerd/tokens.test.ts`

const auth = (file: string): string => `${TRANSPORT}/src/auth/${file}.ts`
const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`
const worker = (file: string): string => `${TRANSPORT}/src/worker/${file}.ts`

export const AUTH_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 4,
    breaks: "claims of any size are put into an attachment",
    file: auth("Claims"),
    edits: [["text.length > MAX_CLAIMS_BYTES", "text.length > Infinity"]],
    test: CLAIMS,
  },
  {
    fault: 17,
    breaks: "a token is used until it expires, and the connection with it",
    file: `${TRANSPORT}/src/client/SocketLife.ts`,
    edits: [["this.#keepToken(hubSession.tokenExpiresAt, answer.timestamp)", ""]],
    test: `${TRANSPORT}/test/client/token.test.ts`,
  },
  {
    fault: 24,
    breaks: "a claim of a token ends its segment of the identity and begins others",
    file: auth("TokenIdentity"),
    edits: [["|| !/^[A-Za-z0-9._~:-]+$/.test(value)", ""]],
    test: `${TRANSPORT}/test/auth/TokenIdentity.test.ts`,
  },
  {
    fault: 24,
    breaks: "any session registers any address",
    file: auth("Authorization"),
    edits: [["Address.isWithin(address, claims.identity) ||", "true ||"]],
    test: AUTHORIZATION,
  },
  {
    fault: 24,
    breaks: "the identity is the one that the client names, not the token's",
    file: hub("session/ConnectRequest"),
    edits: [["if (named === undefined || named === known) return known", "return named ?? known"]],
    test: AUTHORIZATION,
  },
  {
    fault: 24,
    breaks: "reserved addresses may be claimed",
    file: `${TRANSPORT}/src/protocol/FieldRules.ts`,
    edits: [["isReserved(value)\n", "false\n"]],
    test: AUTHORIZATION,
  },
  {
    fault: 24,
    breaks: "a token may name a reserved identity",
    file: auth("TokenIdentity"),
    edits: [["if (!isReserved(identity)) return identity", "return identity"]],
    test: CLAIMS,
  },
  {
    fault: 24,
    breaks: "anybody renews what anybody registered",
    file: hub("features/RegistryRequests"),
    edits: [
      ["registration === undefined || registration.sessionId !== session.id", "registration === undefined"],
    ],
    test: AUTHORIZATION,
  },
  {
    fault: 24,
    breaks: "anybody unregisters what anybody registered",
    file: hub("features/RegistryRequests"),
    edits: [["registration?.sessionId !== session.id", "registration === undefined"]],
    test: AUTHORIZATION,
  },
  {
    fault: 24,
    breaks: "lists show renewal tokens",
    file: hub("features/Registry"),
    edits: [
      [
        "capabilities: registration.capabilities,",
        "capabilities: [...registration.capabilities, registration.renewalToken],",
      ],
    ],
    test: AUTHORIZATION,
  },
  {
    fault: 24,
    breaks: "the hub believes what the header of any request says",
    file: "cloudflare-transport/src/bridge/Upgrade.ts",
    edits: [["request.url === URL_OF_HUB ?", "true ?"]],
    test: WORKERD_TOKENS,
  },
  {
    fault: 24,
    breaks: "the Worker hands on the headers that a client sends",
    file: "cloudflare-transport/src/bridge/Upgrade.ts",
    edits: [['new Headers({ Upgrade: "websocket" })', "new Headers(request.headers)"]],
    test: WORKERD_TOKENS,
  },
  {
    fault: 25,
    breaks: "hub:connect may be tried without limit",
    file: hub("session/ConnectRequest"),
    edits: [["connection.failures++", ""]],
    test: TOKENS,
  },
  {
    fault: 25,
    breaks: "a connect that failed leaves the connection authenticated",
    file: hub("session/TokenRequests"),
    edits: [
      [
        'done(judge(hub, claims, "hub:connect"))',
        'done(judge(hub, claims, "hub:connect"), claims instanceof TokenRefused || (connection.claims = claims.text))',
      ],
      [
        "done: (claims: Claims | Rejection | null) => void,",
        "done: (claims: Claims | Rejection | null, more?: unknown) => void,",
      ],
    ],
    test: TOKENS,
  },
  {
    fault: 26,
    breaks: "a silent session outlives its token",
    file: hub("HubCore"),
    edits: [["for (const session of state.sessions.tokensOver(now)) expireToken(state, session, now)", ""]],
    test: TOKENS,
  },
  {
    fault: 26,
    breaks: "the alarm does not know of tokens",
    file: hub("Alarm"),
    edits: [['  "SELECT min(token_until) AS at FROM session WHERE token_until IS NOT NULL",\n', ""]],
    test: TOKENS,
  },
  {
    fault: 26,
    breaks: "what a session sends after its token expired is served",
    file: hub("HubCore"),
    edits: [["if (tokenUntil(session) <= now) return expireToken(state, session, now)", ""]],
    test: TOKENS,
  },
  {
    fault: 26,
    breaks: "a session is delivered to after its token expired",
    file: hub("HubState"),
    edits: [["tokenUntil(session) <= now", "false"]],
    test: TOKENS,
  },
  {
    fault: 26,
    breaks: "a refresh takes another identity's token",
    file: hub("session/TokenRequests"),
    edits: [["if (claims.identity !== session.identity)", "if (false)"]],
    test: TOKENS,
  },
  {
    fault: 26,
    breaks: "a refresh that comes too late makes the session live on",
    file: hub("session/TokenRequests"),
    edits: [["hub.sessions.of(connection) === session && tokenUntil(session) > now", "true"]],
    test: TOKENS,
  },
  {
    fault: 27,
    breaks: "a deployment without configuration runs open",
    file: auth("Authentication"),
    edits: [['env.AUTH_MODE || "token"', 'env.AUTH_MODE || "open"']],
    test: AUTHENTICATION,
  },
  {
    fault: 27,
    breaks: "capabilities are stored, and never enforced",
    file: auth("Authorization"),
    edits: [['claims.capabilities.has("broadcast")', "true"]],
    test: AUTHORIZATION,
  },
  {
    fault: 27,
    breaks: "the claims about addresses are stored, and never enforced",
    file: auth("Authorization"),
    edits: [["claims.send === null ||", "true ||"]],
    test: AUTHORIZATION,
  },
  {
    fault: 27,
    breaks: "the claims about topics are stored, and never enforced",
    file: auth("Authorization"),
    edits: [["claims.subscribe === null ||", "true ||"]],
    test: AUTHORIZATION,
  },
  {
    fault: 27,
    breaks: "what an older token allowed goes on under a newer one that does not",
    file: hub("session/Revocation"),
    edits: [["if (claims === null) return", "return"]],
    test: TOKENS,
  },
  {
    fault: 27,
    breaks: "a cursor names what its asker may not see",
    file: hub("features/Pages"),
    edits: [["if (mayDiscover(claims, after as Address.Address)) return", "return"]],
    test: AUTHORIZATION,
  },
  {
    fault: 28,
    breaks: "a token is decoded, not verified",
    file: auth("Authentication"),
    edits: [
      [
        "return await verifyWith(token, secret, keySet, options)",
        'return JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")))',
      ],
    ],
    test: AUTHENTICATION,
  },
  {
    fault: 28,
    breaks: "a public key is taken for a secret",
    file: auth("Authentication"),
    edits: [
      [
        "const secret = JWT_SECRET ? new TextEncoder().encode(JWT_SECRET) : undefined",
        "const secret = new TextEncoder().encode(String(JWT_SECRET ?? env.JWKS))",
      ],
    ],
    test: AUTHENTICATION,
  },
  {
    fault: 28,
    breaks: "clients are told what went wrong inside",
    file: auth("Authentication"),
    edits: [['refused("it was not accepted")', "refused(String((error as Error).stack))"]],
    test: AUTHENTICATION,
  },
  {
    fault: 28,
    breaks: "a token is read from the URL",
    file: worker("HubWorker"),
    edits: [
      [
        "bearerToken(request) ?? offeredToken(request)",
        'bearerToken(request) ?? new URL(request.url).searchParams.get("token") ?? offeredToken(request)',
      ],
    ],
    test: WORKERD_TOKENS,
  },
  {
    fault: 28,
    breaks: "the subprotocol that carries a token is echoed",
    file: `${TRANSPORT}/src/bridge/Subprotocol.ts`,
    edits: [["name === SUBPROTOCOL_MSGPACK ||", "name !== SUBPROTOCOL_MSGPACK ||"]],
    test: WORKERD_TOKENS,
  },
  {
    fault: 32,
    breaks: "a message may be named after a method that all objects have",
    file: "actor-core/src/Protocol.ts",
    edits: [
      [
        "Object.hasOwn(protocol.messages, name) ? protocol.messages[name] : undefined",
        "protocol.messages[name]",
      ],
    ],
    test: "actor-core/test/Protocol.test.ts",
  },
]
