/** Which objects a durable actor can reach, by their addresses. */
import { Address } from "@signal-hub/actor-core"
import type { ActorRpc, Served } from "../delivery/ActorRpc.ts"

/** The object that serves an address; `undefined`: there is none. */
export type Reach = (address: Address.Address) => Pick<ActorRpc, "deliver" | "watch" | "unwatch"> | undefined

/**
 * The objects of these namespaces, by the first segment of the address; the rest is the object's name.
 * Every class of them implements `ActorRpc`, as a `DurableActor` does.
 */
export const namespaces =
  (byType: { readonly [type: string]: DurableObjectNamespace<ActorObject> }): Reach =>
  (address) => {
    const [type, ...name] = Address.segments(address)
    if (type === undefined || !Object.hasOwn(byType, type)) return undefined
    // A stub's methods are those of its class, each as a promise; the types of stubs say it less simply.
    return byType[type]!.getByName(name.join("/")) as unknown as ActorRpc
  }

/** A Durable Object that answers to `ActorRpc`. */
type ActorObject = Rpc.DurableObjectBranded & Served<ActorRpc>
