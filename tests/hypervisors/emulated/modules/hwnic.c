// SPDX-License-Identifier: GPL-2.0
/*
 * Two Ethernet devices, hw0 and hw1, joined by a wire, that take the qdisc RED off the kernel: frames wait in the
 * "hardware", which drops what its limit leaves no room for. To the kernel that was sent.
 *
 * While the parameter `paused` is set, nothing leaves, as when the other end sends pause frames: so a known number of
 * frames is over the limit.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/pkt_cls.h>

struct adapter {
	struct net_device *peer;
	struct sk_buff_head memory;	/* its lock is for all of this */
	u32 handle;			/* of the qdisc; 0: none */
	u32 limit, used;		/* bytes */
	u32 dropped, told;		/* frames; how many of them the qdisc has been told of */
};

static struct net_device *adapters[2];
static bool paused;

/* What comes from a wire has bytes, and nothing of what the sender's kernel knew. */
static struct sk_buff *received(struct sk_buff *skb, struct net_device *at)
{
	struct sk_buff *frame = netdev_alloc_skb_ip_align(at, skb->len);

	if (frame && skb_copy_bits(skb, 0, skb_put(frame, skb->len), skb->len)) {
		kfree_skb(frame);
		frame = NULL;
	}
	return frame;
}

static struct sk_buff *next(struct adapter *own)
{
	struct sk_buff *frame;

	spin_lock_bh(&own->memory.lock);
	frame = READ_ONCE(paused) ? NULL : __skb_dequeue(&own->memory);
	if (frame)
		own->used -= frame->len;
	spin_unlock_bh(&own->memory.lock);
	return frame;
}

static void send(struct net_device *dev)
{
	struct adapter *own = netdev_priv(dev);
	struct sk_buff *frame;

	while ((frame = next(own))) {
		dev->stats.tx_packets++;
		dev->stats.tx_bytes += frame->len;
		own->peer->stats.rx_packets++;
		own->peer->stats.rx_bytes += frame->len;
		frame->protocol = eth_type_trans(frame, own->peer);
		netif_rx(frame);
	}
}

static netdev_tx_t hw_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct adapter *own = netdev_priv(dev);
	struct sk_buff *frame = NULL;

	spin_lock_bh(&own->memory.lock);
	if (!own->handle || own->used + skb->len <= own->limit)
		frame = received(skb, own->peer);
	if (frame) {
		own->used += frame->len;
		__skb_queue_tail(&own->memory, frame);
	} else {
		own->dropped++;
	}
	spin_unlock_bh(&own->memory.lock);
	dev_consume_skb_any(skb);
	send(dev);
	return NETDEV_TX_OK;
}

static int hw_red(struct adapter *own, struct tc_red_qopt_offload *red)
{
	int error = 0;

	if (red->parent != TC_H_ROOT)
		return -EOPNOTSUPP;
	spin_lock_bh(&own->memory.lock);
	switch (red->command) {
	case TC_RED_REPLACE:
		own->handle = red->handle;
		own->limit = red->set.limit;
		break;
	case TC_RED_DESTROY:
		own->handle = 0;
		break;
	case TC_RED_STATS:
		red->stats.qstats->drops += own->dropped - own->told;
		own->told = own->dropped;
		break;
	case TC_RED_XSTATS:
		break;
	default:
		error = -EOPNOTSUPP;
	}
	spin_unlock_bh(&own->memory.lock);
	return error;
}

static int hw_setup_tc(struct net_device *dev, enum tc_setup_type type, void *data)
{
	return type == TC_SETUP_QDISC_RED ? hw_red(netdev_priv(dev), data) : -EOPNOTSUPP;
}

static const struct net_device_ops operations = {
	.ndo_start_xmit = hw_xmit,
	.ndo_setup_tc = hw_setup_tc,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static void hw_setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &operations;
	dev->features |= NETIF_F_HW_TC;
	dev->hw_features |= NETIF_F_HW_TC;
	skb_queue_head_init(&((struct adapter *)netdev_priv(dev))->memory);
}

static int set_paused(const char *value, const struct kernel_param *parameter)
{
	int error = param_set_bool(value, parameter), i;

	for (i = 0; !error && i < 2; i++)
		if (adapters[i])
			send(adapters[i]);
	return error;
}

static const struct kernel_param_ops pausing = { .set = set_paused, .get = param_get_bool };
module_param_cb(paused, &pausing, &paused, 0644);

static void hw_free(void)
{
	int i;

	for (i = 0; i < 2; i++)
		if (adapters[i] && adapters[i]->reg_state == NETREG_REGISTERED)
			unregister_netdev(adapters[i]);
	for (i = 0; i < 2; i++)
		if (adapters[i]) {
			skb_queue_purge(&((struct adapter *)netdev_priv(adapters[i]))->memory);
			free_netdev(adapters[i]);
		}
}

static int __init hw_init(void)
{
	int i, error = 0;

	for (i = 0; i < 2; i++)
		adapters[i] = alloc_netdev(sizeof(struct adapter), "hw%d", NET_NAME_ENUM, hw_setup);
	if (!adapters[0] || !adapters[1])
		error = -ENOMEM;
	for (i = 0; i < 2 && !error; i++) {
		((struct adapter *)netdev_priv(adapters[i]))->peer = adapters[!i];
		error = register_netdev(adapters[i]);
	}
	if (error)
		hw_free();
	return error;
}

module_init(hw_init);
module_exit(hw_free);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A pair of Ethernet devices that take the qdisc RED off the kernel");
