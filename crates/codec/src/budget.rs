//! How much memory codec contexts may hold, and where spare contexts wait for reuse.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::{Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
use crate::error::CodecError;
use crate::limits;

/// The bytes that all codec contexts of a process may hold together. Share one by its `Arc`.
///
/// A stream that gets a share keeps its context from payload to payload. One that does not borrows
/// a context for each payload instead, which then stands alone: worse ratio, no memory. A share
/// given back goes to the next stream that asks. Borrowed contexts are outside the bound; there
/// are only as many as payloads in work at the same moment, and at most 16 wait for the next.
///
/// ```
/// use p2_codec::ContextBudget;
///
/// let budget = ContextBudget::new(16 << 20);
/// assert_eq!((budget.limit(), budget.used()), (16 << 20, 0));
/// ```
pub struct ContextBudget {
    limit: usize,
    /// A larger budget that has to agree, and the bytes for which it need not.
    within: Option<(Arc<ContextBudget>, usize)>,
    used: Mutex<usize>,
    encoders: Mutex<Vec<EncoderLease>>,
    decoders: Mutex<Vec<DecoderLease>>,
}

impl ContextBudget {
    /// The default bound: 64 MiB.
    pub const DEFAULT_LIMIT: usize = limits::CONTEXT_BUDGET;

    /// A budget of `limit` bytes. With 0 every payload stands alone.
    pub fn new(limit: usize) -> Arc<Self> {
        Self::with(limit, None)
    }

    /// A budget of `limit` bytes of which the first `own` are its own and the rest is taken from
    /// `shared`: so that many small users are safe from a large one, and all together stay bounded.
    ///
    /// ```
    /// use p2_codec::ContextBudget;
    ///
    /// let shared = ContextBudget::new(64 << 20);
    /// let one = ContextBudget::within(&shared, 4 << 20, 32 << 20);
    /// assert_eq!((one.limit(), shared.used()), (32 << 20, 0));
    /// ```
    pub fn within(shared: &Arc<Self>, own: usize, limit: usize) -> Arc<Self> {
        Self::with(limit, Some((shared.clone(), own)))
    }

    fn with(limit: usize, within: Option<(Arc<Self>, usize)>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            within,
            used: Mutex::new(0),
            encoders: Mutex::default(),
            decoders: Mutex::default(),
        })
    }

    /// A budget without a bound.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// The bound in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes charged now, spare contexts included. Never over the limit.
    pub fn used(&self) -> usize {
        *self.lock()
    }

    /// An encoder: with `keep` and room in the budget one to hold on to, else one to borrow for a
    /// single payload, which resets itself.
    pub(crate) fn encoder(
        &self,
        codec: &Arc<dyn Codec>,
        config: EncoderConfig,
        keep: bool,
    ) -> Result<EncoderLease, CodecError> {
        if keep {
            let config = EncoderConfig { stateless: false, ..config };
            let charge = codec.encoder_memory(&config);
            if let Some(spare) = take(&self.encoders, |e| e.suits(codec, &config)) {
                return Ok(spare);
            }
            if self.charge(charge) {
                return EncoderLease::new(codec, config, charge)
                    .inspect_err(|_| self.discharge(charge));
            }
        }
        let config = EncoderConfig { stateless: true, ..config };
        match take(&self.encoders, |e| e.suits(codec, &config)) {
            Some(spare) => Ok(spare),
            None => EncoderLease::new(codec, config, 0),
        }
    }

    /// A decoder: with `keep` and room in the budget one to hold on to, else one to borrow.
    pub(crate) fn decoder(
        &self,
        codec: &Arc<dyn Codec>,
        limits: DecoderLimits,
        keep: bool,
    ) -> Result<DecoderLease, CodecError> {
        if keep {
            let charge = codec.capabilities().decoder_memory;
            if let Some(spare) = take(&self.decoders, |d| d.kept && d.suits(codec, &limits)) {
                return Ok(spare);
            }
            if self.charge(charge) {
                return DecoderLease::new(codec, limits, charge, true)
                    .inspect_err(|_| self.discharge(charge));
            }
        }
        match take(&self.decoders, |d| !d.kept && d.suits(codec, &limits)) {
            Some(spare) => Ok(spare),
            None => DecoderLease::new(codec, limits, 0, false),
        }
    }

    /// Takes an encoder back, for the next stream that needs its like.
    pub(crate) fn return_encoder(&self, mut lease: EncoderLease) {
        if lease.is_kept() {
            lease.encoder.reset();
        }
        if let Err(lease) = put(&self.encoders, lease) {
            self.discharge(lease.charge);
        }
    }

    /// Takes a decoder back, for the next stream that needs its like.
    pub(crate) fn return_decoder(&self, mut lease: DecoderLease) {
        lease.decoder.reset();
        if let Err(lease) = put(&self.decoders, lease) {
            self.discharge(lease.charge);
        }
    }

    /// Frees what a lost context was charged.
    pub(crate) fn discharge(&self, bytes: usize) {
        let mut used = self.lock();
        let before = *used;
        *used = before.saturating_sub(bytes);
        if let Some((shared, own)) = &self.within {
            shared.discharge(before.saturating_sub(*own) - used.saturating_sub(*own));
        }
    }

    fn charge(&self, bytes: usize) -> bool {
        if self.try_charge(bytes) {
            return true;
        }
        // Spare contexts of another kind must not stand in the way of a live stream.
        let spare = evict(&self.encoders, |e| e.charge) + evict(&self.decoders, |d| d.charge);
        self.discharge(spare);
        spare > 0 && self.try_charge(bytes)
    }

    fn try_charge(&self, bytes: usize) -> bool {
        let mut used = self.lock();
        let Some(after) = used.checked_add(bytes).filter(|&sum| sum <= self.limit) else {
            return false;
        };
        let agreed = self.within.as_ref().is_none_or(|(shared, own)| {
            shared.charge(after.saturating_sub(*own) - used.saturating_sub(*own))
        });
        if agreed {
            *used = after;
        }
        agreed
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ContextBudget {
    fn drop(&mut self) {
        // Spare contexts are still charged.
        let used = self.used();
        self.discharge(used);
    }
}

impl fmt::Debug for ContextBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextBudget")
            .field("limit", &self.limit)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

/// An encoder with what it takes to recognise and account for it.
pub(crate) struct EncoderLease {
    pub(crate) encoder: Box<dyn Encoder>,
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) charge: usize,
    config: EncoderConfig,
}

impl EncoderLease {
    fn new(
        codec: &Arc<dyn Codec>,
        config: EncoderConfig,
        charge: usize,
    ) -> Result<Self, CodecError> {
        let encoder = codec.encoder(&config)?;
        Ok(Self { encoder, codec: codec.clone(), charge, config })
    }

    /// Whether its owner may hold on to it from payload to payload.
    pub(crate) fn is_kept(&self) -> bool {
        !self.config.stateless
    }

    fn suits(&self, codec: &Arc<dyn Codec>, config: &EncoderConfig) -> bool {
        Arc::ptr_eq(&self.codec, codec) && self.config == *config
    }
}

/// A decoder with what it takes to recognise and account for it.
pub(crate) struct DecoderLease {
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) charge: usize,
    pub(crate) kept: bool,
    limits: DecoderLimits,
}

impl DecoderLease {
    fn new(
        codec: &Arc<dyn Codec>,
        limits: DecoderLimits,
        charge: usize,
        kept: bool,
    ) -> Result<Self, CodecError> {
        let decoder = codec.decoder(&limits)?;
        Ok(Self { decoder, codec: codec.clone(), charge, kept, limits })
    }

    fn suits(&self, codec: &Arc<dyn Codec>, limits: &DecoderLimits) -> bool {
        Arc::ptr_eq(&self.codec, codec) && self.limits == *limits
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves a list of idle contexts as whole as it was.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take<T>(spares: &Mutex<Vec<T>>, suits: impl Fn(&T) -> bool) -> Option<T> {
    let mut spares = lock(spares);
    let found = spares.iter().rposition(suits)?;
    Some(spares.swap_remove(found))
}

fn put<T>(spares: &Mutex<Vec<T>>, spare: T) -> Result<(), T> {
    let mut spares = lock(spares);
    if spares.len() >= limits::IDLE_CONTEXTS {
        return Err(spare);
    }
    spares.push(spare);
    Ok(())
}

/// Drops the spares that hold a share, and returns the bytes they were charged.
fn evict<T>(spares: &Mutex<Vec<T>>, charge: impl Fn(&T) -> usize) -> usize {
    let mut freed = 0;
    lock(spares).retain(|spare| {
        freed += charge(spare);
        charge(spare) == 0
    });
    freed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Gzip;

    fn gzip() -> (Arc<dyn Codec>, usize) {
        let memory = Gzip.capabilities().encoder_memory;
        (Arc::new(Gzip), memory)
    }

    #[test]
    fn a_share_of_a_larger_budget_is_taken_and_given_back() {
        let shared = ContextBudget::new(100);
        let one = ContextBudget::within(&shared, 10, 200);
        let other = ContextBudget::within(&shared, 10, 200);
        assert!(one.charge(60) && other.charge(10));
        assert_eq!((one.used(), other.used(), shared.used()), (60, 10, 50));
        assert!(!other.charge(51), "only 50 are left");
        assert!(other.charge(50));
        assert_eq!((other.used(), shared.used()), (60, 100));
        one.discharge(55);
        assert_eq!((one.used(), shared.used()), (5, 50));
        drop(other);
        assert_eq!(shared.used(), 0);
    }

    #[test]
    fn contexts_are_kept_up_to_the_bound_and_borrowed_beyond_it() {
        let (codec, memory) = gzip();
        let budget = ContextBudget::new(2 * memory + 1);
        let lease = || budget.encoder(&codec, EncoderConfig::default(), true).unwrap();
        let (first, second, third) = (lease(), lease(), lease());
        assert_eq!([&first, &second, &third].map(EncoderLease::is_kept), [true, true, false]);
        assert_eq!(budget.used(), 2 * memory);
        budget.return_encoder(third);
        budget.return_encoder(first);
        assert!(lease().is_kept(), "the share that came back goes to the next");
        assert_eq!(budget.used(), 2 * memory);
    }

    #[test]
    fn spare_contexts_make_room_for_another_kind() {
        let (codec, memory) = gzip();
        let budget = ContextBudget::new(memory);
        let level = |level| EncoderConfig { level: Some(level), ..EncoderConfig::default() };
        let first = budget.encoder(&codec, level(1), true).unwrap();
        budget.return_encoder(first);
        assert_eq!(budget.used(), memory, "a spare context still holds its memory");
        assert!(budget.encoder(&codec, level(6), true).unwrap().is_kept());
        assert_eq!(budget.used(), memory);
    }

    #[test]
    fn spares_are_bounded() {
        let (codec, memory) = gzip();
        let budget = ContextBudget::unlimited();
        let leases: Vec<_> = (0..limits::IDLE_CONTEXTS + 1)
            .map(|_| budget.encoder(&codec, EncoderConfig::default(), true).unwrap())
            .collect();
        leases.into_iter().for_each(|lease| budget.return_encoder(lease));
        assert_eq!(budget.used(), limits::IDLE_CONTEXTS * memory);
    }

    #[test]
    fn a_codec_that_fails_to_make_a_context_is_not_charged() {
        let (codec, _) = gzip();
        let budget = ContextBudget::unlimited();
        let config = EncoderConfig { level: Some(77), ..EncoderConfig::default() };
        assert!(budget.encoder(&codec, config, true).is_err());
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_charge_never_passes_the_limit_however_many_ask_at_once() {
        let budget = ContextBudget::new(1000);
        let won: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..500).filter(|_| budget.charge(3)).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((won, budget.used()), (333, 999));
    }
}
