import TransferQ

/// Work that waits for a context's next batch, and which of it shares one.
struct DecodeQueue {
    /// Tokens to decode.
    struct Work {
        let entries: ArraySlice<LlamaContext.Entry>
        let results: LlamaContext.Results
    }

    /// Work that somebody waits for.
    struct Request {
        let work: Work
        let signal: AbortSignal
        /// Gets the row of the batch that the first entry came to.
        let finish: (Result<Int, any Error>) -> Void
    }

    /// Work that goes along with a batch that somebody else asks for.
    struct Passenger {
        /// Whose work it is; one at a time.
        let owner: ObjectIdentifier
        let work: Work
        let receive: (Int, LlamaContext.Output) throws -> Void
        let land: ((any Error)?) -> Void
    }

    /// What goes into one call of llama.cpp, the requests' entries first.
    struct Batch {
        var requests: ArraySlice<Request>
        var passengers: ArraySlice<Passenger>
        /// What any of them wants. What only some want is computed for all; for a few tokens that is cheaper than another
        /// batch.
        var results: LlamaContext.Results
        var count: Int

        var works: [Work] { requests.map(\.work) + passengers.map(\.work) }
    }

    /// Oldest first.
    private var requests: [Request] = []
    private var passengers: [Passenger] = []

    /// Most tokens of a batch that several share. From 64 on, llama.cpp's attention works in tiles that span the cells of
    /// all of them.
    private static let sharedBatchSize = 56

    /// Whether anybody waits.
    var isWaitedFor: Bool { !requests.isEmpty }

    /// Requests that wait.
    var count: Int { requests.count }

    mutating func add(_ request: Request) { requests.append(request) }

    mutating func add(_ passenger: Passenger) { passengers.append(passenger) }

    /// Takes back what waits to go along.
    mutating func removePassenger(of owner: ObjectIdentifier) { passengers.removeAll { $0.owner == owner } }

    /// The oldest request, and what there is room for beside it, in order: passengers, then other requests.
    ///
    /// - Parameter room: cells that are free; no passenger shall take one that a request needs.
    mutating func next(room: Int) -> Batch? {
        guard let first = requests.first else { return nil }
        var (results, count) = (first.work.results, first.work.entries.count)
        func joins(_ work: Work, within limit: Int = Self.sharedBatchSize) -> Bool {
            let size = count + work.entries.count
            guard size <= limit || count == 0 else { return false }
            (results, count) = (results.union(work.results), size)
            return true
        }
        let aboard = passengers.prefix { joins($0.work, within: min(room, Self.sharedBatchSize)) }
        let together = requests.prefix(1) + requests.dropFirst().prefix { joins($0.work) }
        passengers.removeFirst(aboard.count)
        requests.removeFirst(together.count)
        return Batch(requests: together, passengers: aboard, results: results, count: count)
    }

    /// Takes back all of a batch but its first request, where there is no room for more.
    mutating func putBack(_ batch: Batch) -> Batch {
        requests = batch.requests.dropFirst() + requests
        passengers = batch.passengers + passengers
        let work = batch.requests[batch.requests.startIndex].work
        return Batch(
            requests: batch.requests.prefix(1), passengers: [], results: work.results, count: work.entries.count)
    }
}
