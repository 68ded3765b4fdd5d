/** A whole hub. `npm start` serves it. */
export { SignalHub } from "@signal-hub/cloudflare-transport"
export { hubWorker as default } from "@signal-hub/cloudflare-transport"
