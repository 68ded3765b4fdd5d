/** A promise that was broken: which, and how. */
export class Violation {
  readonly invariant: string
  readonly detail: string

  constructor(invariant: string, detail: string) {
    this.invariant = invariant
    this.detail = detail
  }
}
