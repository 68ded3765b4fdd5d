/**
 * Signs from the platform that a retry may succeed now, or that timers may have stood still: the
 * network is back, the page is shown again.
 */

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
