/**
 * Signs from the platform that a retry may succeed now, or that timers may have stood still: the
 * network is back, the page is shown again.
 */

import { momentOf, passedSince, type Timers } from "./Timers.ts"

/** How often a client looks at its clocks, in milliseconds. */
const LOOK_INTERVAL = 2_000

/** The part of an `EventTarget` that is used. */
export interface WakeTarget {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** Where to listen, and whether what was heard is a wake-up. */
export interface Wakeup {
  readonly target: WakeTarget
  readonly event: string
  readonly applies?: () => boolean
}

/** The platform's own: `online`, and in pages `pageshow` and becoming visible. None outside browsers. */
export const platformWakeups = (): ReadonlyArray<Wakeup> => {
  const { addEventListener, document, navigator } = globalThis as unknown as {
    readonly addEventListener?: unknown
    readonly document?: WakeTarget & { readonly visibilityState: string }
    readonly navigator?: { readonly onLine?: boolean }
  }
  if (navigator?.onLine === undefined || addEventListener === undefined) return []
  const target = globalThis as unknown as WakeTarget
  const online = { target, event: "online" }
  if (document === undefined) return [online]
  return [
    online,
    { target, event: "pageshow" },
    { target: document, event: "visibilitychange", applies: () => document.visibilityState === "visible" },
  ]
}

/** Calls once the page is hidden and will not be shown again; the result stops it. Never outside of pages. */
export const listenForPageEnd = (ended: () => void): (() => void) => {
  const page = globalThis as unknown as {
    readonly document?: unknown
    readonly addEventListener: (type: string, listener: (event: PageHidden) => void) => void
    readonly removeEventListener: (type: string, listener: (event: PageHidden) => void) => void
  }
  if (page.document === undefined) return () => {}
  // One that is persisted may come back, with its timers where they were.
  const hidden = ({ persisted }: PageHidden): void => {
    if (!persisted) ended()
  }
  page.addEventListener("pagehide", hidden)
  return () => page.removeEventListener("pagehide", hidden)
}

/** The part of a `PageTransitionEvent` that is read. */
interface PageHidden {
  readonly persisted: boolean
}

/** Calls `wake` at each; the result stops it. */
export const listenForWakeups = (wakeups: ReadonlyArray<Wakeup>, wake: () => void): (() => void) => {
  const stops = wakeups.map(({ target, event, applies }) => {
    const heard = (): void => {
      if (applies === undefined || applies()) wake()
    }
    target.addEventListener(event, heard)
    return () => target.removeEventListener(event, heard)
  })
  return () => stops.forEach((stop) => stop())
}

/**
 * Looks at the clocks now and then, and says whether the machine slept meanwhile: a look that comes later than it
 * should by more than `longest()` milliseconds, by either clock. The result stops it.
 */
export const watchClocks = (
  timers: Timers,
  longest: () => number,
  onLook: (hasSlept: boolean) => void,
): (() => void) => {
  let stop = (): void => {}
  const arm = (): void => {
    const since = momentOf(timers)
    stop = timers.after(LOOK_INTERVAL, () => {
      const late = passedSince(timers, since) - LOOK_INTERVAL
      arm()
      onLook(late > longest())
    })
  }
  arm()
  return () => stop()
}
