/** The fleet on the screen: a card for each sensor, made once and changed in place. */
import { Address } from "@signal-hub/actor-core"
import type { Fleet, Seen } from "./Fleet.ts"

const STATES: { readonly [state in Seen["state"]]: string } = {
  here: "here",
  unregistered: "retired",
  disconnected: "lost",
  expired: "lease expired",
  superseded: "taken over",
}

/** Draws the fleet into the element. What the result gives is to be called after changes. */
export const view = (
  root: HTMLElement,
  fleet: Fleet,
  onRetire: (address: Address.Address) => void,
): (() => void) => {
  const counts = element("p")
  const grid = element("main")
  root.append(element("h1", "Sensors"), counts, grid)
  const cards = new Map<Address.Address, Card>()
  return () => {
    counts.textContent = [...fleet.count()].map(([state, n]) => `${n} ${STATES[state]}`).join(" · ")
    for (const [address, seen] of fleet.sensors) {
      let card = cards.get(address)
      if (card === undefined) {
        card = new Card(address, () => onRetire(address))
        cards.set(address, card)
        grid.append(card.element)
      }
      card.show(seen)
    }
  }
}

class Card {
  readonly element = element("article")
  readonly #value = element("output")
  readonly #state = element("span")
  readonly #line = document.createElementNS("http://www.w3.org/2000/svg", "polyline")

  constructor(address: Address.Address, onRetire: () => void) {
    const retire = element("button", "Retire")
    retire.addEventListener("click", onRetire)
    const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg")
    chart.setAttribute("viewBox", "0 0 100 24")
    chart.setAttribute("preserveAspectRatio", "none")
    chart.append(this.#line)
    const foot = element("footer")
    foot.append(this.#state, retire)
    this.element.dataset.address = address
    this.element.append(element("h2", Address.segments(address).slice(1).join(" ")), this.#value, chart, foot)
  }

  show({ readings, state }: Seen): void {
    this.element.dataset.state = state
    this.#state.textContent = STATES[state]
    const last = readings.at(-1)
    this.#value.textContent = last === undefined ? "" : `${last.toFixed(1)} °C`
    const [low, high] = [Math.min(...readings), Math.max(...readings)]
    const step = 100 / Math.max(1, readings.length - 1)
    const height = (celsius: number): number => 22 - (20 * (celsius - low)) / Math.max(1, high - low)
    this.#line.setAttribute("points", readings.map((c, i) => `${i * step},${height(c)}`).join(" "))
  }
}

const element = <K extends keyof HTMLElementTagNameMap>(tag: K, text = ""): HTMLElementTagNameMap[K] => {
  const made = document.createElement(tag)
  made.textContent = text
  return made
}
