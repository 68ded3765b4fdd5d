/** The wire protocol, without a platform: messages, errors, close codes, limits, versions. */
export * from "./CloseCode.ts"
export * from "./Frame.ts"
export * from "./HubError.ts"
export * from "./HubMessage.ts"
export * from "./Limits.ts"
export * from "./Version.ts"
export * from "./HubEnvelope.ts"
