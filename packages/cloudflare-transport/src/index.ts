/** What a Worker needs: the hub's Durable Object, the bridge and the Worker's entry. */
export * from "./protocol/index.ts"
export { type VerifyToken } from "./auth/Authentication.ts"
export { type TokenPayload } from "./auth/Claims.ts"
export { TokenRefused } from "./auth/TokenRefused.ts"
export { BridgeTransport } from "./bridge/BridgeTransport.ts"
export { type BridgeHandler, type BridgeLimits, WebSocketBridge } from "./bridge/WebSocketBridge.ts"
export { DurableActor, DurableActorHost } from "./durable/DurableActor.ts"
export { namespaces, type Reach } from "./durable/Reach.ts"
export type { DurableActorOptions } from "./durable/DurableActorOptions.ts"
export { Directory } from "./directory/Directory.ts"
export type { GatewayEnv } from "./object/GatewayEnv.ts"
export type { Addresses, RoutedMessage, Route, RouteFunction, Routes } from "./delivery/RoutingTable.ts"
export type {
  ActorRpc,
  Answer,
  Batch,
  Caller,
  CallerClaims,
  Delivery,
  Outcome,
  RefusalCode,
  Served,
} from "./delivery/Rpc.ts"
export { SessionGateway } from "./gateway/SessionGateway.ts"
export { TopicHub } from "./topics/TopicHub.ts"
export { SignalHub } from "./hub/SignalHub.ts"
export { sqlitePersistence } from "./durable/SqlitePersistence.ts"
export { durableObjectSql, type Sql } from "./object/Sql.ts"
export type { Connection } from "./session/Connection.ts"
export { type HubEnv } from "./object/HubEnv.ts"
export { hubWorker } from "./worker/HubWorker.ts"
export { ActorCallFailed, type ActorCalls } from "./worker/ActorCalls.ts"
export { type Gateway, type GatewaySetup, makeGateway } from "./worker/makeGateway.ts"
export { type Hub, type HubSetup, makeHub } from "./worker/makeHub.ts"
