// msgpackr types its main entry only; this one has the same exports, less what compiles code.
declare module "msgpackr/index-no-eval" {
  export { Packr } from "msgpackr"
}
