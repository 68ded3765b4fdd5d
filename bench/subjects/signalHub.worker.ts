/** The Worker of someone who uses the hub as it comes. */
export { SignalHub, hubWorker as default } from "@signal-hub/cloudflare-transport"
