/** The Worker under test: a deployment as a newcomer's would be. */
export {
  Directory,
  SessionGateway,
  SignalHub,
  TopicHub,
  hubWorker as default,
} from "@signal-hub/cloudflare-transport"
