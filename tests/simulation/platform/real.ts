/** The real thing, of what `globals.ts` replaces: kept for the simulator itself. */
export const real = {
  setImmediate: globalThis.setImmediate,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  Date: globalThis.Date,
  console: { ...globalThis.console },
  performanceNow: globalThis.performance.now.bind(globalThis.performance),
}
