//! Which drivers have native XDP.

use crate::kernel::host;

/// Drivers with native XDP, since which kernel, and since which they take multi-buffer programs.
/// Source: the driver table of the eBPF documentation project, up to Linux 6.19.
pub(super) const NATIVE_DRIVERS: &[(&str, host::Version, Option<host::Version>)] = {
    use host::Version as V;
    &[
        ("atlantic", V(5, 19), Some(V(5, 19))),
        ("bnxt_en", V(4, 11), Some(V(5, 19))),
        ("bonding", V(5, 15), None),
        ("ena", V(5, 6), None),
        ("fec", V(6, 2), None),
        ("fsl_dpaa2_eth", V(5, 0), None),
        ("fsl_enetc", V(5, 13), None),
        ("gve", V(6, 4), None),
        ("hv_netvsc", V(5, 6), None),
        ("i40e", V(4, 13), Some(V(6, 4))),
        ("ice", V(5, 5), Some(V(6, 3))),
        ("idpf", V(6, 18), None),
        ("igb", V(5, 10), None),
        ("igc", V(5, 13), None),
        ("ionic", V(6, 9), Some(V(6, 9))),
        ("ixgbe", V(4, 12), None),
        ("ixgbevf", V(4, 17), None),
        ("mana", V(5, 17), None),
        ("mlx4_en", V(4, 8), None),
        ("mlx5_core", V(4, 9), Some(V(5, 18))),
        ("mtk_eth_soc", V(6, 0), None),
        ("mvneta", V(5, 5), Some(V(5, 18))),
        ("mvpp2", V(5, 9), None),
        ("nfp", V(4, 10), None),
        ("nicvf", V(4, 12), None),
        ("qede", V(4, 10), None),
        ("sfc", V(5, 5), None),
        ("stmmac", V(5, 13), None),
        ("tun", V(4, 14), None),
        ("veth", V(4, 19), Some(V(5, 18))),
        ("virtio_net", V(4, 10), Some(V(6, 3))),
        ("vmxnet3", V(6, 6), None),
        ("xen_netfront", V(5, 9), None),
    ]
};
