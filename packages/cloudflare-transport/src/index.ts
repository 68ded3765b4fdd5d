/** What a Worker needs: the hub's Durable Object, the bridge and the Worker's entry. */
export * from "./protocol/index.ts"
