/**
 * The marks that the hub puts into the metadata of what it delivers: that it is a publication, a
 * broadcast, a forwarded message. A client can't put them there: receivers trust them.
 */
import type { Envelope } from "@signal-hub/actor-core"

/** The metadata without marks: the very same object where it has none, as is usual. */
export const unmarked = (metadata: Envelope.Metadata): Envelope.Metadata => {
  if (
    metadata.via === undefined &&
    metadata.publication === undefined &&
    metadata.broadcast === undefined &&
    metadata.forwarded === undefined
  ) {
    return metadata
  }
  const { via: _v, publication: _p, broadcast: _b, forwarded: _f, ...rest } = metadata
  return rest
}
