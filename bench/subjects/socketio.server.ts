/** The same relay on Socket.IO, run as a child process that tells its parent the port. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Server, type Socket } from "socket.io"

const http = createServer()
const server = new Server(http, { transports: ["websocket"], serveClient: false })
const sockets = new Map<string, Socket>()

server.on("connection", (socket) => {
  const address = String(socket.handshake.auth["address"])
  sockets.set(address, socket)
  socket.on("envelope", (envelope: { readonly to: string }) => {
    if (envelope.to === "*") socket.broadcast.emit("envelope", envelope)
    else sockets.get(envelope.to)?.emit("envelope", envelope)
  })
  socket.on("disconnect", () => sockets.delete(address))
})

http.listen(0, "127.0.0.1", () => process.send?.((http.address() as AddressInfo).port))
