//! A tensor's numbers as a slice, for what is done to each of them on the CPU, and how the allocator keeps their memory.

use tch::{Device, Kind, Tensor};

/// The numbers of `tensor`, in the order in which they lie in memory. `None` where they cannot be had so: it is not on the
/// CPU, not of 32-bit floats, or has holes.
pub(crate) fn numbers(tensor: &mut Tensor) -> Option<&mut [f32]> {
    if tensor.device() != Device::Cpu || tensor.kind() != Kind::Float || !is_dense(tensor) {
        return None;
    }
    let (count, data) = (tensor.numel(), tensor.data_ptr().cast::<f32>());
    if count == 0 {
        return Some(&mut []);
    }
    // SAFETY: libtorch gives the address of `count` floats without holes, aligned and initialised, which live for as long as
    // the tensor that is borrowed. Another handle of the same memory may be about, as a model's is of a parameter; it is not
    // used meanwhile, since no operation of libtorch runs on the CPU after the call that began it has returned.
    Some(unsafe { std::slice::from_raw_parts_mut(data, count) })
}

/// Tells the C library's allocator to keep what is freed for the next step. It would else give the large tensors of a step
/// back to the system, which has to fill their pages with zeros at the next: a sixth of a step of `mnist-convnet`.
pub(crate) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The most that `mallopt` takes for it.
        const FROM_THE_SYSTEM: libc::c_int = 32 << 20;
        const KEPT: libc::c_int = 1 << 30;
        const AT_A_TIME: libc::c_int = 64 << 20;
        // SAFETY: it takes numbers alone, may be called at any time, and changes where memory comes from, not what it is.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_THE_SYSTEM);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
            libc::mallopt(libc::M_TOP_PAD, AT_A_TIME);
        }
    }
}

/// Whether `tensor`'s numbers fill one stretch of memory, in whatever order of its dimensions.
fn is_dense(tensor: &Tensor) -> bool {
    let mut dimensions: Vec<_> = layout(tensor).collect();
    dimensions.sort_unstable_by_key(|&(_, stride)| stride);
    let mut filled = 1;
    dimensions.into_iter().all(|(size, stride)| {
        let follows = stride == filled;
        filled *= size;
        follows
    })
}

/// Whether both have the same shape, and their numbers the same order in memory.
pub(crate) fn same_layout(one: &Tensor, other: &Tensor) -> bool {
    one.size() == other.size() && layout(one).eq(layout(other))
}

/// Sizes and strides of all dimensions but those of one, whose strides mean nothing.
fn layout(tensor: &Tensor) -> impl Iterator<Item = (i64, i64)> {
    let dimensions = tensor.size().into_iter().zip(tensor.stride());
    dimensions.filter(|&(size, _)| size != 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_the_order_of_memory() {
        let rows = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).view([2, 3]);
        assert_eq!(
            numbers(&mut rows.tr()).unwrap(),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
        numbers(&mut rows.shallow_clone()).unwrap()[1] = 7.0;
        assert_eq!(f64::try_from(rows.get(0).get(1)).unwrap(), 7.0);
        assert!(!same_layout(&rows, &rows.tr().contiguous().tr()));
        assert!(same_layout(&rows, &rows.tr().tr()));
    }

    #[test]
    fn what_has_holes_or_is_no_float_is_refused() {
        let rows = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        assert!(numbers(&mut rows.narrow(1, 0, 2)).is_none());
        assert!(numbers(&mut rows.expand([4, 2, 3], false)).is_none());
        assert!(numbers(&mut rows.to_kind(Kind::BFloat16)).is_none());
        assert!(numbers(&mut rows.narrow(0, 1, 1)).is_some());
    }
}
