/** The client, for browsers, Node and Workers. */
export * from "../protocol/index.ts"
