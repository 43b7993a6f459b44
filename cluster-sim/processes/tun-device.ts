import type { Libc } from '../../src/runtime/system/libc.ts';

/** linux/if_tun.h: `TUNSETIFF`; packets of IP without Ethernet and without a header of its own. */
const TUNSETIFF = 0x4004_54ca;
const IFF_TUN = 0x1;
const IFF_NO_PI = 0x1000;
/** `struct ifreq`: the name, then a union that begins with the flags. */
const IFREQ_BYTES = 40;
const IFNAME_BYTES = 16;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/**
 * Makes a network device whose packets are read from and written to a descriptor. The device may
 * move to another network namespace; the descriptor stays.
 *
 * @param name - at most 15 bytes
 * @returns the descriptor; closing it removes the device
 * @throws Error when the kernel refuses, for example without root
 */
export function openTunDevice(libc: Libc, name: string): number {
  const fd = libc.open('/dev/net/tun', O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) throw new Error(`cannot open /dev/net/tun (errno ${libc.errno()})`);
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name, 0, 'latin1');
  request.writeInt16LE(IFF_TUN | IFF_NO_PI, IFNAME_BYTES);
  if (libc.ioctl(fd, TUNSETIFF, libc.addressOf(request)) < 0) {
    const errno = libc.errno();
    libc.close(fd);
    throw new Error(`cannot make the device ${name} (errno ${errno})`);
  }
  return fd;
}
