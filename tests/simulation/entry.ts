/** What the bundle gives: lives by their seeds. The globals come first. */
import "./platform/globals.ts"
import { Life, type Outcome } from "./life/Life.ts"
import { makePlan, type Plan } from "./life/Plan.ts"

export { makePlan }
export type { Outcome, Plan }

export const live = (plan: Plan, keepsTrace: boolean): Promise<Outcome> => new Life(plan, keepsTrace).run()
