/// Rows of numbers, with the two products that fitting needs.
struct DenseMatrix: Sendable {
    /// Row by row.
    private let numbers: [Double]
    let width: Int
    let count: Int

    /// - Precondition: the rows have one width.
    init(_ rows: [[Double]]) {
        numbers = Array(rows.joined())
        width = rows.first?.count ?? 0
        count = rows.count
    }

    /// Z·w
    func times(_ weights: [Double]) -> [Double] {
        numbers.withUnsafeBufferPointer { numbers in
            weights.withUnsafeBufferPointer { weights in
                (0..<count).map { row in
                    let start = row * width
                    var sums = SIMD8<Double>.zero
                    var column = 0
                    while column + 8 <= width {
                        sums.addProduct(Self.load(numbers, start + column), Self.load(weights, column))
                        column += 8
                    }
                    var sum = sums.sum()
                    while column < width {
                        sum += numbers[start + column] * weights[column]
                        column += 1
                    }
                    return sum
                }
            }
        }
    }

    /// Zᵀ·v
    func transposedTimes(_ vector: [Double]) -> [Double] {
        var result = [Double](repeating: 0, count: width)
        numbers.withUnsafeBufferPointer { numbers in
            result.withUnsafeMutableBufferPointer { result in
                for row in 0..<count {
                    let (start, factor) = (row * width, vector[row])
                    for column in 0..<width { result[column] += factor * numbers[start + column] }
                }
            }
        }
        return result
    }

    private static func load(_ values: UnsafeBufferPointer<Double>, _ index: Int) -> SIMD8<Double> {
        UnsafeRawPointer(values.baseAddress! + index).loadUnaligned(as: SIMD8<Double>.self)
    }
}

/// Solves A·x = b for a symmetric, positive definite A that is known by its products.
enum ConjugateGradients {
    /// - Parameters:
    ///   - start: a first guess; zero when nil.
    ///   - accuracy: the length of the residual that will do, in lengths of `target`.
    static func solve(
        _ target: [Double], from start: [Double]? = nil, accuracy: Double, product: ([Double]) -> [Double]
    ) -> [Double] {
        var solution = start ?? [Double](repeating: 0, count: target.count)
        var residual = start == nil ? target : zip(target, product(solution)).map { $0 - $1 }
        var direction = residual
        var squared = dot(residual, residual)
        let enough = accuracy * accuracy * dot(target, target)
        for _ in 0..<(2 * target.count + 10) where squared > enough {
            let image = product(direction)
            let length = squared / dot(direction, image)
            guard length.isFinite else { break }
            for index in target.indices {
                solution[index] += length * direction[index]
                residual[index] -= length * image[index]
            }
            let next = dot(residual, residual)
            for index in target.indices { direction[index] = residual[index] + next / squared * direction[index] }
            squared = next
        }
        return solution
    }

    static func dot(_ left: [Double], _ right: [Double]) -> Double {
        zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
    }
}
