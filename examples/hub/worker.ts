/** A whole hub, and gateways beside it. `npm start` serves them. */
export { Directory, SessionGateway, SignalHub, TopicHub } from "@signal-hub/cloudflare-transport"
export { hubWorker as default } from "@signal-hub/cloudflare-transport"
