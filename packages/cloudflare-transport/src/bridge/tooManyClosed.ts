/** The answer to an upgrade while too many clients have not answered the close of their sockets. */
export const tooManyClosed = (): Response =>
  new Response(
    "too many connections that were closed here are not closed by their clients: try again later\n",
    {
      status: 503,
      headers: { "Retry-After": "5" },
    },
  )
