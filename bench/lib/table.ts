/** Rows as a table for people: a line for each metric, a column for each subject, ratios beside. */
import type { Row, Suite } from "../Suite.ts"

/** The suite's rows; in parentheses the ratio to the baseline. */
export const table = (suite: Suite, rows: ReadonlyArray<Row>): string => {
  const subjects = [...new Set(rows.map(({ subject }) => subject))]
  const lines = [[suite.name, "unit", ...subjects]]
  for (const metric of new Set(rows.map(({ metric }) => metric))) {
    const ofMetric = rows.filter((row) => row.metric === metric)
    const cells = subjects.map((subject) => {
      const row = ofMetric.find((row) => row.subject === subject)
      return row === undefined ? "–" : cell(row)
    })
    lines.push([metric, ofMetric[0]?.unit ?? "", ...cells])
  }
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((text, column) => (column < 2 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}

const cell = ({ value, ratio }: Row): string => {
  const figure = value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3)
  return ratio === null ? figure : `${figure} (${ratio.toFixed(2)})`
}
