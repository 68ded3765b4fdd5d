/**
 * The vocabulary as schemas, for documentation, tools and protocols that carry addresses. Nothing on the
 * way of a message needs them: `Address.isAddress` and `Envelope.check` judge the same by hand.
 */
import * as Schema from "effect/Schema"
import { isAddress, type Address } from "./Address.ts"
import {
  isAddressSized,
  isPlainObject,
  MAX_ID_LENGTH,
  MAX_TYPE_LENGTH,
  metadataFits,
  type Metadata,
} from "./Envelope.ts"
import { formOf, MAX_PAYLOAD_LEVELS, UNSUPPORTED } from "./PayloadValue.ts"

/** An address, as a schema. */
export const AddressSchema: Schema.Codec<Address, string> = Schema.String.pipe(
  Schema.refine(isAddress, { identifier: "Address" }),
)

const Text = Schema.String.check(Schema.makeFilter((text: string) => text.isWellFormed()))
const boundedString = (min: number, max: number) =>
  Text.check(Schema.isMinLength(min), Schema.isMaxLength(max))
// A guard, not a record: a record schema takes any object, an instance of a class too.
const MetadataSchema = Schema.Unknown.pipe(
  Schema.refine(
    (value: unknown): value is Metadata =>
      isPlainObject(value) && formOf(value, MAX_PAYLOAD_LEVELS) !== UNSUPPORTED && metadataFits(value),
    { identifier: "Metadata" },
  ),
)
const PayloadSchema = Schema.Unknown.check(
  Schema.makeFilter((payload: unknown) => formOf(payload, MAX_PAYLOAD_LEVELS) !== UNSUPPORTED),
)

/** The envelope as a schema of what may come off a wire, before `check` has normalized it. */
export const WireEnvelope = Schema.Struct({
  id: boundedString(1, MAX_ID_LENGTH),
  from: Schema.optional(Schema.NullOr(Schema.String.check(Schema.makeFilter(isAddressSized)))),
  to: AddressSchema,
  type: boundedString(1, MAX_TYPE_LENGTH),
  payload: Schema.optional(PayloadSchema),
  pattern: Schema.Literals(["tell", "ask"]),
  correlationId: Schema.optional(Schema.NullOr(boundedString(1, MAX_ID_LENGTH))),
  timestamp: Schema.Number.check(Schema.isFinite()),
  metadata: Schema.optional(Schema.NullOr(MetadataSchema)),
  ttl: Schema.optional(
    Schema.NullOr(Schema.Number.check(Schema.isFinite(), Schema.isGreaterThanOrEqualTo(0))),
  ),
  signature: Schema.optional(Schema.NullOr(Text)),
  seq: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
})
