/** What workerd offers with `unsafe_module`, as far as it is used here. */
declare module "workerd:unsafe" {
  const unsafe: {
    readonly evict: (
      stub: DurableObjectStub,
      options: { readonly webSockets: "hibernate" | "close" },
    ) => Promise<void>
  }
  export default unsafe
}
