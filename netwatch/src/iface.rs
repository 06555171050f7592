//! The edge to the network interfaces: which there are, and when they come and go.

use std::net::{Ipv4Addr, Ipv6Addr};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use netwatch_common::Settings;
use rtnetlink::{
    Handle, MulticastGroup, RouteMessageBuilder, new_connection, new_multicast_connection,
    packet_route::{
        address::{AddressAttribute, AddressMessage},
        link::{LinkAttribute, LinkLayerType, LinkMessage, LinkXdp},
        route::{RouteAttribute, RouteMessage},
    },
};
use tokio::task::JoinHandle;

use crate::analysis::policy::Prefix;
use crate::kernel::Error;

/// One interface, as the kernel describes it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index, which is new each time an interface is made.
    pub index: u32,
    /// What its frames start with, or its ARPHRD_ type where netwatch cannot parse that.
    pub link: Result<Link, u16>,
    /// Largest payload of a frame, in bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// The XDP program attached to it, by id.
    pub xdp_program: Option<u32>,
    /// Whether it takes frames that are not addressed to it, whoever asked for that.
    pub promiscuous: bool,
    /// The interface that it lies upon, by index: that of a VLAN, for instance. A veth names its other end.
    pub lower: Option<u32>,
    /// Packets received since it was made.
    pub received: u64,
    /// Packets that it had no room for since it was made, as far as its driver counts them.
    pub missed: u64,
}

/// What the frames of an interface start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// An IP header.
    Ip,
}

impl Link {
    /// The value of [`Settings::link`].
    #[must_use]
    pub fn setting(self) -> u32 {
        match self {
            Self::Ethernet => Settings::LINK_ETHERNET,
            Self::Ip => Settings::LINK_IP,
        }
    }

    /// The other way round.
    #[must_use]
    pub fn of_setting(setting: u32) -> Self {
        if setting == Settings::LINK_IP { Self::Ip } else { Self::Ethernet }
    }
}

/// A connection to the kernel's routing tables, in the network namespace of the thread that made it.
pub struct Interfaces {
    handle: Handle,
    connection: JoinHandle<()>,
}

impl Interfaces {
    /// Connects.
    ///
    /// # Errors
    ///
    /// No netlink socket can be had.
    pub fn connect() -> Result<Self, Error> {
        let (connection, handle, _) =
            new_connection().map_err(|source| Error::System { call: "open a netlink socket", source })?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// The interface called `name`, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// The kernel's answer could not be had.
    pub async fn by_name(&self, name: &str) -> Result<Option<Interface>, Error> {
        let request = self.handle.link().get().match_name(name.to_owned()).execute();
        match request.try_collect::<Vec<_>>().await {
            Ok(links) => Ok(links.first().map(describe)),
            Err(rtnetlink::Error::NetlinkError(error))
                if matches!(-error.raw_code(), libc::ENODEV | libc::EINVAL | libc::ERANGE) =>
            {
                Ok(None)
            }
            Err(error) => Err(netlink_error("ask for an interface", &error)),
        }
    }

    /// The interface of the default route: IPv4 before IPv6, the lowest metric before others.
    ///
    /// # Errors
    ///
    /// There is none, or the kernel's answer could not be had.
    pub async fn of_default_route(&self) -> Result<Interface, Error> {
        let ip4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let ip6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
        for query in [ip4, ip6] {
            let routes = self.handle.route().get(query).execute();
            let routes: Vec<_> =
                routes.try_collect().await.map_err(|error| netlink_error("ask for the routes", &error))?;
            if let Some(index) = default_route(&routes) {
                let links = self.handle.link().get().match_index(index).execute();
                let links: Vec<_> = links
                    .try_collect()
                    .await
                    .map_err(|error| netlink_error("ask for an interface", &error))?;
                if let Some(link) = links.first() {
                    return Ok(describe(link));
                }
            }
        }
        Err(Error::NoDefaultRoute)
    }
}

impl Interfaces {
    /// The networks that this host has an address in, on any interface but loopback.
    ///
    /// # Errors
    ///
    /// The kernel's answer could not be had.
    pub async fn networks(&self) -> Result<Vec<Prefix>, Error> {
        let addresses = self.handle.address().get().execute();
        let addresses: Vec<_> =
            addresses.try_collect().await.map_err(|error| netlink_error("ask for addresses", &error))?;
        let mut networks: Vec<Prefix> = addresses.iter().filter_map(network).collect();
        networks.sort_unstable();
        networks.dedup();
        Ok(networks)
    }
}

/// The network of an address, unless it is a loopback address.
fn network(message: &AddressMessage) -> Option<Prefix> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    })?;
    // IPv4 is mapped into the last 32 bits.
    let before = if address.is_ipv4() { 96 } else { 0 };
    let bits = message.header.prefix_len.checked_add(before)?;
    if address.is_loopback() { None } else { Prefix::new(address.into(), bits) }
}

impl Drop for Interfaces {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Tells when any interface changes, or an address of one. It does not say what changed: ask [`Interfaces`].
pub struct Changes {
    messages: futures_util::stream::BoxStream<'static, ()>,
    connection: JoinHandle<()>,
    hung_up: bool,
}

impl Changes {
    /// Starts listening.
    ///
    /// # Errors
    ///
    /// No netlink socket can be had.
    pub fn listen() -> Result<Self, Error> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, _, messages) = new_multicast_connection(&groups)
            .map_err(|source| Error::System { call: "listen for interface changes", source })?;
        Ok(Self {
            messages: messages.map(|_| ()).boxed(),
            connection: tokio::spawn(connection),
            hung_up: false,
        })
    }

    /// Waits for the next change; for ever where the kernel hung up, which it says once. Changes that are there
    /// already are one: an interface that comes makes a dozen.
    pub async fn next(&mut self) {
        if !self.hung_up && self.messages.next().await.is_none() {
            self.hung_up = true;
            tracing::warn!(
                "the kernel no longer tells of interface changes; looking once a slot, or a minute for addresses"
            );
        }
        while let Some(Some(())) = self.messages.next().now_or_never() {}
        if self.hung_up {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The name of the interface with this index now, where there is one.
#[must_use]
pub fn name_of(index: u32) -> Option<String> {
    let name = nix::net::if_::if_indextoname(index).ok()?.to_string_lossy().into_owned();
    // An interface that is just being deleted may have lost its name already.
    (!name.is_empty()).then_some(name)
}

fn describe(link: &LinkMessage) -> Interface {
    let mut interface = Interface {
        name: String::new(),
        index: link.header.index,
        link: match link.header.link_layer_type {
            LinkLayerType::Ether | LinkLayerType::Loopback => Ok(Link::Ethernet),
            LinkLayerType::None
            | LinkLayerType::Rawip
            | LinkLayerType::Ppp
            | LinkLayerType::Tunnel
            | LinkLayerType::Tunnel6
            | LinkLayerType::Sit => Ok(Link::Ip),
            other => Err(other.into()),
        },
        mtu: 0,
        up: link.header.flags.contains(rtnetlink::packet_route::link::LinkFlags::Up),
        xdp_program: None,
        promiscuous: link.header.flags.contains(rtnetlink::packet_route::link::LinkFlags::Promisc),
        lower: None,
        received: 0,
        missed: 0,
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            // Counts who asks for it; the flag shows only what an administrator asked for.
            LinkAttribute::Promiscuity(count) => interface.promiscuous |= *count > 0,
            LinkAttribute::Link(index) => interface.lower = Some(*index),
            LinkAttribute::Stats64(stats) => {
                interface.received = stats.rx_packets;
                interface.missed = stats.rx_missed_errors;
            }
            LinkAttribute::Xdp(xdp) => {
                interface.xdp_program = xdp.iter().find_map(|entry| match entry {
                    LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) if *id != 0 => {
                        Some(*id)
                    }
                    _ => None,
                });
            }
            _ => {}
        }
    }
    interface
}

/// The interface of the default route with the lowest metric.
fn default_route(routes: &[RouteMessage]) -> Option<u32> {
    let mut best: Option<(u32, u32)> = None;
    for route in routes.iter().filter(|route| route.header.destination_prefix_length == 0) {
        let (mut index, mut metric) = (None, 0);
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Oif(oif) => index = Some(*oif),
                RouteAttribute::Priority(priority) => metric = *priority,
                // Several next hops share the route: the first will do, the user can name another.
                RouteAttribute::MultiPath(hops) => {
                    index = index.or_else(|| hops.first().map(|hop| hop.interface_index));
                }
                _ => {}
            }
        }
        // IPv6 has an unreachable default route on `lo`, which leads nowhere.
        let unicast = route.header.kind == rtnetlink::packet_route::route::RouteType::Unicast;
        if let Some(index) = index.filter(|_| unicast)
            && best.is_none_or(|(lowest, _)| metric < lowest)
        {
            best = Some((metric, index));
        }
    }
    best.map(|(_, index)| index)
}

fn netlink_error(call: &'static str, error: &rtnetlink::Error) -> Error {
    Error::System { call, source: std::io::Error::other(error.to_string()) }
}
