/** What sensors and dashboards say to one another, and on which topics. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

/** A sensor, which publishes what it measures. */
export const Sensor = Protocol.make("sensor", {
  /** It says goodbye, and is gone. */
  retire: Protocol.tell(),
})

/** Sensors subscribe to it to be seen: nothing is published here. */
export const PRESENT = "sensors/present"
/** Sensors publish on it, dashboards read. */
export const READINGS = "sensors/readings"

/** Degrees Celsius. */
export const Reading = Schema.Number
