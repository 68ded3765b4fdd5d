declare namespace Cloudflare {
  interface Env {
    readonly SIGNAL_HUB: DurableObjectNamespace<import("../../src/hub/SignalHub.ts").SignalHub>
    readonly IMPATIENT_HUB: DurableObjectNamespace<import("./worker.ts").ImpatientHub>
    readonly TOKEN_HUB: DurableObjectNamespace<import("./worker.ts").TokenHub>
    readonly GUARDED_HUB: DurableObjectNamespace<import("./worker.ts").GuardedHub>
    readonly GUARDED_GATEWAY: DurableObjectNamespace<import("./worker.ts").GuardedGateway>
    readonly TICKET_HUB: DurableObjectNamespace<import("./worker.ts").TicketHub>
    readonly STRICT_HUB: DurableObjectNamespace<import("./worker.ts").StrictHub>
    readonly COUNTING_HUB: DurableObjectNamespace<import("./worker.ts").CountingHub>
    readonly COUNTING_GATEWAY: DurableObjectNamespace<import("./worker.ts").CountingGateway>
    readonly COUNTING_ACCOUNT: DurableObjectNamespace<import("./worker.ts").CountingAccount>
    readonly ECHO: DurableObjectNamespace<import("./worker.ts").Echo>
    readonly HOST: DurableObjectNamespace<import("./worker.ts").Host>
    readonly ACCOUNT: DurableObjectNamespace<import("./worker.ts").AccountActor>
    readonly BUYER: DurableObjectNamespace<import("./worker.ts").BuyerActor>
    readonly CLOCK: DurableObjectNamespace<import("./worker.ts").ClockActor>
    readonly SHELF: DurableObjectNamespace<import("./worker.ts").ShelfActor>
    readonly SESSION_GATEWAY: DurableObjectNamespace<
      import("../../src/gateway/SessionGateway.ts").SessionGateway
    >
    readonly TOPIC_HUB: DurableObjectNamespace<import("./worker.ts").TopicHub>
    readonly DIRECTORY: DurableObjectNamespace<import("./worker.ts").Directory>
    readonly STEWARD: DurableObjectNamespace<import("./worker.ts").StewardActor>
    readonly ROOM: DurableObjectNamespace<import("./worker.ts").Room>
    readonly UPGRADING_HUB: DurableObjectNamespace<import("./upgrading.ts").UpgradingHub>
    readonly UPGRADING_GATEWAY: DurableObjectNamespace<import("./upgrading.ts").UpgradingGateway>
    readonly UPGRADING_TOPIC: DurableObjectNamespace<import("./upgrading.ts").UpgradingTopic>
    readonly UPGRADING_DIRECTORY: DurableObjectNamespace<import("./upgrading.ts").UpgradingDirectory>
    readonly UPGRADING_ACCOUNT: DurableObjectNamespace<import("./upgrading.ts").UpgradingAccount>
    readonly DESK: Service<import("./worker.ts").Desk>
    readonly AUTH_MODE: string
  }
}
