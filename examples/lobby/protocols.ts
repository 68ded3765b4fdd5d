/** What the actors of the lobby say to one another. */
import { AddressSchema, Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

/** The lobby: where a player comes in. */
export const Lobby = Protocol.make("lobby", {
  enter: Protocol.ask({
    success: Schema.Struct({ rooms: Schema.Array(AddressSchema), profile: AddressSchema }),
  }),
})

/** All seats of the room are taken. */
export class RoomFull extends Schema.TaggedError<RoomFull>()("RoomFull", { seats: Schema.Number }) {}

/** Who does not sit in the room can't guess. */
export class NotSeated extends Schema.TaggedError<NotSeated>()("NotSeated", {}) {}

/** Where the secret number is, seen from a guess. */
export const Hint = Schema.Literals(["higher", "lower", "right"])

/** What a room tells all who sit in it. */
export const News = Schema.TaggedUnion({
  SatDown: { player: AddressSchema },
  Left: { player: AddressSchema, reason: Schema.String },
  RoundBegan: {},
  Won: { player: AddressSchema, secret: Schema.Number, points: Schema.Number },
})

/** A room: who sits in it guesses its secret number, from 1 to 100. */
export const Room = Protocol.make("room", {
  /** Takes a seat; again, it keeps it. Answers with all who sit there. */
  join: Protocol.ask({ success: Schema.Array(AddressSchema), error: RoomFull }),
  guess: Protocol.ask({ payload: Schema.Number, success: Hint, error: NotSeated }),
  /** What is news in the room from now on, for who looks on. */
  feed: Protocol.stream({ success: News }),
})

/** A player: hears the news of its room, and does what the person before the screen says. */
export const Player = Protocol.make("player", {
  news: Protocol.tell({ payload: News }),
  sit: Protocol.ask({ payload: AddressSchema, error: RoomFull }),
  /** `null`: the room did not answer. */
  guess: Protocol.ask({ payload: Schema.Number, success: Schema.NullOr(Hint) }),
})

/** The profile of a player. */
export const Profile = Protocol.make("profile", {
  /** Adds a point, and answers with all. */
  won: Protocol.ask({ success: Schema.Number }),
  points: Protocol.ask({ success: Schema.Number }),
})
