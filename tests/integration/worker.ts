/** The Worker under test: a deployment as a newcomer's would be. */
export { SignalHub, hubWorker as default } from "@signal-hub/cloudflare-transport"
