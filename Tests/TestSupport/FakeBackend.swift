import Foundation
import Synchronization
package import TransferQ
package import TransferQLlama

/// A backend that computes nothing: the logits behind a token are random numbers made of all tokens of its sequence, so
/// that anything wrong in what a sequence holds shows. It keeps a cache as llama.cpp's does, and notes every call that
/// llama.cpp would end the process for.
package final class FakeBackend: ContextBackend {
    /// One call.
    package struct Call: Sendable {
        package let rows: [BackendRow]
        package let wantsStates: Bool
    }

    /// What a row came to. As llama.cpp's, it is valid until the next call, so nobody reads it while it is freed.
    private struct Output: @unchecked Sendable {
        let logits: UnsafeMutablePointer<Float>
        let state: UnsafeMutablePointer<Float>?

        func free() {
            logits.deallocate()
            state?.deallocate()
        }
    }

    private struct Contents {
        /// What each sequence holds, by position; a cell has one number, whoever shares it.
        var held: [[(cell: Int, token: Token)]]
        var nextCell = 0
        var rows: [BackendRow] = []
        var wantsStates = false
        var outputs: [Int32: Output] = [:]
        var isComputing = false
        var calls: [Call] = []
        var faults: [String] = []
        /// What calls to come end with, the next first.
        var codes: [Int32] = []
    }

    package let cells: Int
    package let graphSwitch = GraphSwitch()
    private let vocabulary: Int
    private let width: Int
    private let contents: Mutex<Contents>
    /// Whether calls wait until ``step()`` lets one go on.
    private let isStepped: Atomic<Bool>
    private let whenCalled: (@Sendable (Int) -> Void)?
    private let steps = DispatchSemaphore(value: 0)
    private let begun = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - isStepped: whether every call waits for ``step()``.
    ///   - whenCalled: called while a call is under way, with the number of calls before it.
    package init(
        model: LlamaModel, cells: Int, sequences: Int, isStepped: Bool = false,
        whenCalled: (@Sendable (Int) -> Void)? = nil
    ) {
        self.cells = cells
        self.whenCalled = whenCalled
        vocabulary = model.tokenizer.size
        width = model.width
        contents = Mutex(Contents(held: Array(repeating: [], count: sequences)))
        self.isStepped = Atomic(isStepped)
    }

    deinit { contents.withLock { Self.freeOutputs(&$0) } }

    // MARK: For tests

    /// What was done that llama.cpp would end the process for.
    package var faults: [String] { contents.withLock { $0.faults } }

    /// The calls so far, those that failed included.
    package var calls: [Call] { contents.withLock { $0.calls } }

    /// Cells that sequences hold.
    package var usedCells: Int { contents.withLock { Self.used($0.held) } }

    /// Whether a call is under way.
    package var isComputing: Bool { contents.withLock { $0.isComputing } }

    /// Has the next calls end with these codes; what they were given then stays in part.
    package func fail(with codes: [Int32]) { contents.withLock { $0.codes += codes } }

    /// No call fails that was to.
    package func forgetCodes() { contents.withLock { $0.codes = [] } }

    /// From now on, or no longer, calls wait for ``step()``.
    package func setStepped(_ isStepped: Bool) { self.isStepped.store(isStepped, ordering: .relaxed) }

    /// Lets one call go on.
    package func step() { steps.signal() }

    /// Returns when a call has begun since the last time that this returned.
    package func waitForCall() async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                self.begun.wait()
                continuation.resume()
            }
        }
    }

    /// log π(token | tokens), for all tokens, as the backend makes them up.
    package func logProbabilities(after tokens: [Token]) -> [Double] {
        LogSpace.logSoftmax(Self.logits(after: tokens, count: vocabulary).map(Double.init))
    }

    /// The state behind tokens.
    package func states(after tokens: [Token]) -> [Float] { Self.state(after: tokens, width: width) }

    private static func logits(after tokens: [Token], count: Int) -> [Float] {
        let noise = tokens.reduce(Noise(seed: 1)) { $0.derived(Int($1)) }
        return (0..<count).map { 9 * Float(noise.derived($0).uniform) }
    }

    private static func state(after tokens: [Token], width: Int) -> [Float] {
        let noise = tokens.reduce(Noise(seed: 2)) { $0.derived(Int($1)) }
        return (0..<width).map { Float(noise.derived($0).uniform) }
    }

    // MARK: What a context asks for

    package func set(_ row: Int, to entry: BackendRow) {
        contents.withLock { contents in
            if contents.isComputing { contents.faults.append("a row was set while a call was under way") }
            if row == 0 { contents.rows = [] }
            if row != contents.rows.count { contents.faults.append("row \(row) was set out of order") }
            contents.rows.append(entry)
        }
    }

    package func setWantsStates(_ wantsStates: Bool) { contents.withLock { $0.wantsStates = wantsStates } }

    package func copy(_ positions: Range<Int32>, of source: Int32, to target: Int32) {
        contents.withLock { contents in
            if contents.isComputing { contents.faults.append("cells were copied while a call was under way") }
            let range = Int(positions.lowerBound)..<Int(positions.upperBound)
            guard range.upperBound <= contents.held[Int(source)].count,
                range.lowerBound == contents.held[Int(target)].count
            else { return contents.faults.append("\(positions) of \(source) do not continue \(target)") }
            contents.held[Int(target)] += contents.held[Int(source)][range]
        }
    }

    package func clear() {
        contents.withLock { contents in
            if contents.isComputing { contents.faults.append("the cache was cleared while a call was under way") }
            contents.held = contents.held.map { _ in [] }
        }
    }

    package func remove(_ sequence: Int32, from position: Int32) {
        contents.withLock { contents in
            if contents.isComputing { contents.faults.append("cells were removed while a call was under way") }
            let kept = min(Int(position), contents.held[Int(sequence)].count)
            contents.held[Int(sequence)].removeLast(contents.held[Int(sequence)].count - kept)
        }
    }

    package func decode(_ rows: Int32, threads: Int?) -> DecodeOutcome {
        guard rows > 0 else { return DecodeOutcome(code: 0) }
        let number = contents.withLock { contents in
            if contents.isComputing { contents.faults.append("two calls at the same time") }
            if Int(rows) != contents.rows.count { contents.faults.append("\(rows) of \(contents.rows.count) rows") }
            contents.isComputing = true
            contents.calls.append(Call(rows: contents.rows, wantsStates: contents.wantsStates))
            Self.freeOutputs(&contents)
            return contents.calls.count - 1
        }
        whenCalled?(number)
        if isStepped.load(ordering: .relaxed) {
            begun.signal()
            steps.wait()
        }
        return contents.withLock { contents in
            contents.isComputing = false
            if graphSwitch.isRaised { return DecodeOutcome(code: 2) }
            let code = contents.codes.isEmpty ? 0 : contents.codes.removeFirst()
            // A call that fails may have put any part of its tokens into the cache.
            for (row, entry) in contents.rows.enumerated() where code == 0 || row % 2 == 0 {
                compute(entry, at: Int32(row), isWhole: code == 0, &contents)
            }
            return DecodeOutcome(code: code, complaint: code == 0 ? "" : "asked for by the test")
        }
    }

    package func logits(at row: Int32) -> UnsafePointer<Float>? {
        let output = contents.withLock { contents -> Output? in
            if contents.isComputing { contents.faults.append("logits were read while a call was under way") }
            if contents.outputs[row] == nil { contents.faults.append("row \(row) has no logits") }
            return contents.outputs[row]
        }
        return output.map { UnsafePointer($0.logits) }
    }

    package func state(at row: Int32) -> UnsafePointer<Float>? {
        let output = contents.withLock { contents -> Output? in
            if contents.isComputing { contents.faults.append("states were read while a call was under way") }
            if contents.outputs[row]?.state == nil { contents.faults.append("row \(row) has no state") }
            return contents.outputs[row]
        }
        return output?.state.map { UnsafePointer($0) }
    }

    private func compute(_ entry: BackendRow, at row: Int32, isWhole: Bool, _ contents: inout Contents) {
        let before = entry.sequences.map { contents.held[Int($0)].map(\.token) }
        if isWhole {
            if !(0..<Token(vocabulary)).contains(entry.token) {
                contents.faults.append("there is no token \(entry.token)")
            }
            if before.contains(where: { $0.count != Int(entry.position) }) {
                contents.faults.append("position \(entry.position) is not the next one of \(entry.sequences)")
            }
            if Set(before).count > 1 { contents.faults.append("a token of sequences that hold different texts") }
        }
        for sequence in entry.sequences { contents.held[Int(sequence)].append((contents.nextCell, entry.token)) }
        contents.nextCell += 1
        if Self.used(contents.held) > cells { contents.faults.append("more cells are in use than there are") }
        guard entry.isOutput, isWhole else { return }
        let tokens = (before.first ?? []) + [entry.token]
        contents.outputs[row] = Output(
            logits: Self.copy(Self.logits(after: tokens, count: vocabulary)),
            state: contents.wantsStates ? Self.copy(Self.state(after: tokens, width: width)) : nil)
    }

    private static func copy(_ values: [Float]) -> UnsafeMutablePointer<Float> {
        let pointer = UnsafeMutablePointer<Float>.allocate(capacity: values.count)
        pointer.initialize(from: values, count: values.count)
        return pointer
    }

    private static func freeOutputs(_ contents: inout Contents) {
        for output in contents.outputs.values { output.free() }
        contents.outputs = [:]
    }

    private static func used(_ held: [[(cell: Int, token: Token)]]) -> Int { Set(held.joined().map(\.cell)).count }
}
