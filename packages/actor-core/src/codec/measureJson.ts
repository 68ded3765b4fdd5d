/** Counts the values of a JSON frame and how deep they are nested, before anything is made of it. */
import type { FrameMeasure } from "./Codec.ts"

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/**
 * What the text holds, in one pass over its characters. Of text that is not JSON it says what a parser makes of
 * it, at most, before it finds that out.
 */
export const measureJson = (text: string): FrameMeasure => {
  // Each value is the first of all, or follows a comma, or is the first within brackets.
  let values = 1
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        for (let code = text.charCodeAt(++at); at < text.length && code !== QUOTE;) {
          if (code === BACKSLASH) at++
          code = text.charCodeAt(++at)
        }
        break
      case COMMA:
        values++
        break
      case OPEN_ARRAY:
      case OPEN_OBJECT: {
        if (++depth > deepest) deepest = depth
        while (isSpace(text.charCodeAt(at + 1))) at++
        const next = text.charCodeAt(at + 1)
        if (next !== CLOSE_ARRAY && next !== CLOSE_OBJECT) values++
        break
      }
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--
    }
  }
  return { values, depth: isBatch(text) ? deepest - 1 : deepest }
}

const isBatch = (text: string): boolean => {
  let at = 0
  while (isSpace(text.charCodeAt(at))) at++
  return text.charCodeAt(at) === OPEN_ARRAY
}
