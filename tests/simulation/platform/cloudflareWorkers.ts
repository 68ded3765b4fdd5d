/** The module `cloudflare:workers`, as far as it is used. */
export class DurableObject<Env> {
  protected readonly ctx: unknown
  protected readonly env: Env

  constructor(ctx: unknown, env: Env) {
    this.ctx = ctx
    this.env = env
  }
}
