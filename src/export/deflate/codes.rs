//! Huffman codes: short ones for what comes often.

/// A code, its first bit in the lowest place, and its length; no length where a symbol does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Code {
    pub bits: u16,
    pub len: u8,
}

/// The lengths of the codes of symbols that come so often, none longer than `max_bits`; 0 for those that do not come.
pub fn lengths_of<const N: usize>(counts: &[u32; N], max_bits: u8) -> [u8; N] {
    let mut lengths = [0; N];
    let mut symbols: Vec<usize> = (0..N).filter(|&symbol| counts[symbol] > 0).collect();
    if let [symbol] = symbols[..] {
        lengths[symbol] = 1;
    }
    if symbols.len() < 2 {
        return lengths;
    }
    // Rare ones first, and of equals the lower: the order decides the codes, so it must always be the same.
    symbols.sort_unstable_by_key(|&symbol| (counts[symbol], symbol));
    let weights: Vec<u64> = symbols.iter().map(|&symbol| counts[symbol].into()).collect();
    let per_length = shortened(&depths(&weights), max_bits);
    let mut rare_first = symbols.into_iter();
    for len in (1..=max_bits).rev() {
        for symbol in rare_first.by_ref().take(per_length[usize::from(len)] as usize) {
            lengths[symbol] = len;
        }
    }
    lengths
}

/// How deep each leaf lies in the tree that joins the two lightest parts again and again; weights rise.
fn depths(weights: &[u64]) -> Vec<usize> {
    let leaves = weights.len();
    let mut weights = weights.to_vec();
    let mut parents = vec![0; 2 * leaves - 1];
    // Joined parts come out in rising weight too, so the lightest of all is at the front of one of two queues.
    let (mut leaf, mut joined) = (0, leaves);
    for next in leaves..2 * leaves - 1 {
        let mut sum = 0;
        for _ in 0..2 {
            let takes_leaf = leaf < leaves && (joined >= next || weights[leaf] <= weights[joined]);
            let lightest = if takes_leaf { &mut leaf } else { &mut joined };
            parents[*lightest] = next;
            sum += weights[*lightest];
            *lightest += 1;
        }
        weights.push(sum);
    }
    let mut depths = vec![0; 2 * leaves - 1];
    for part in (0..2 * leaves - 2).rev() {
        depths[part] = depths[parents[part]] + 1;
    }
    depths.truncate(leaves);
    depths
}

/// How many codes there are of each length once none is longer than `max_bits`.
fn shortened(depths: &[usize], max_bits: u8) -> [u32; 16] {
    let max = usize::from(max_bits);
    let mut per_length = [0; 16];
    depths.iter().for_each(|&depth| per_length[depth.min(max)] += 1);
    // Codes that were cut take more than there is; a longer sibling for a short code makes room for one of them.
    let room = 1_u64 << max;
    let mut taken: u64 = (1..=max).map(|len| u64::from(per_length[len]) << (max - len)).sum();
    while taken > room {
        let Some(len) = (1..max).rev().find(|&len| per_length[len] > 0) else { break };
        per_length[max] -= 1;
        per_length[len] -= 1;
        per_length[len + 1] += 2;
        taken -= 1;
    }
    per_length
}

/// The codes for some lengths, as deflate counts them: by length, then by symbol.
pub fn codes_of<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next = 0_u16;
    for len in 1..=15 {
        next <<= 1;
        for symbol in (0..N).filter(|&symbol| lengths[symbol] == len) {
            codes[symbol] = Code { bits: next.reverse_bits() >> (16 - len), len };
            next = next.wrapping_add(1);
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fill_their_room_exactly_and_common_symbols_get_short_ones() {
        // Each as frequent as all before together: without a limit the rarest would take 29 bits.
        let mut counts = [0_u32; 30];
        (0..30).for_each(|n| counts[n] = 1 << n.min(28));
        for max_bits in [5, 7, 15] {
            let lengths = lengths_of(&counts, max_bits);
            let room: u32 = lengths.iter().map(|&len| 1 << (max_bits - len)).sum();
            assert_eq!(room, 1 << max_bits, "{max_bits}: {lengths:?}");
            assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
        }
    }

    #[test]
    fn no_code_begins_another() {
        let mut counts = [0_u32; 40];
        (0..40).for_each(|n| counts[n] = (n * n % 17) as u32);
        let codes = codes_of(&lengths_of(&counts, 15));
        let used: Vec<Code> = codes.into_iter().filter(|code| code.len > 0).collect();
        assert_eq!(used.len(), counts.iter().filter(|&&count| count > 0).count());
        for (n, a) in used.iter().enumerate() {
            let begins = |b: &Code| a.len <= b.len && (a.bits ^ b.bits) & ((1 << a.len) - 1) == 0;
            assert!(used.iter().enumerate().all(|(m, b)| m == n || !begins(b)), "{a:?}");
        }
    }

    #[test]
    fn one_symbol_or_none_has_a_code_or_none() {
        assert_eq!(lengths_of(&[0, 0, 0], 15), [0, 0, 0]);
        assert_eq!(lengths_of(&[0, 9, 0], 15), [0, 1, 0]);
    }
}
