import ArgumentParser
import TransferQConsole

/// Many prompts to answer.
struct BatchOptions: ParsableArguments {
    @Option(
        help: "Answer all prompts of a file: JSON lines with a prompt or messages, or data of prompts with answers.")
    var batch: String?

    @Option(help: .rare("With --batch: the first so many prompts only."))
    var limit: Int?

    @Option(
        help: .rare(
            """
            With --batch: prompts worked on at the same time, which share llama.cpp's batches (default: 8). With rollouts \
            on a processor each thread has its own, two to four at most. The same command gives the same answers. With \
            weights of fewer than 32 bits an answer may depend on those beside it; with MODEL@f32 (up to near-ties) or \
            --parallel 1 it does not.
            """))
    var parallel: Int?

    @Option(help: "With --batch: append answers to this file; a run that was cut goes on where it was.")
    var output: String?

    @OptionGroup var records: RecordFileOptions

    func validate() throws {
        if batch == nil, parallel != nil || output != nil || limit != nil || !records.isDefault {
            throw ValidationError(
                "--limit, --parallel, --output, --skip-broken and --ignore-key go with --batch FILE")
        }
        if let parallel, !(1...32).contains(parallel) {
            throw ValidationError("--parallel must be between 1 and 32, not \(parallel)")
        }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, not \(limit)") }
    }
}
