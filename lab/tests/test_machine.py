# SPDX-License-Identifier: GPL-2.0
"""Machine files: what they become, and that mistakes are named."""

import unittest

import context
from runner import machine
from runner.errors import LabError

SWITCH = """
summary = "a test"
[roles]
provider = "src"
[[device]]
type = "root-port"
name = "rp0"
[[device]]
type = "switch"
name = "sw0"
below = "rp0"
[[device]]
type = "switch-port"
name = "dn0"
below = "sw0"
[[device]]
type = "nvme"
name = "src"
below = "dn0"
cmb = "64M"
disk = "32M"
"""
ROUTE = """
[[route]]
provider = "src"
client = "src"
type = "bus-address"
distance = 0
"""
LATER = """
[[device]]
type = "nvme"
name = "spare"
cmb = "16M"
disk = "32M"
later = true
"""
PATH = """
[[device]]
type = "nvme"
name = "two"
path-to = "src"
"""


def options(text):
    box = machine.parse("x.toml", text)
    return " ".join(machine.qemu_options(box, {"src": "src.img"}))


class Parsing(unittest.TestCase):
    def refused(self, text, *parts):
        with self.assertRaises(LabError) as caught:
            machine.parse("lab/machines/x.toml", text)
        for part in ("lab/machines/x.toml", *parts):
            self.assertIn(part, str(caught.exception))

    def test_defaults(self):
        box = machine.parse("x.toml", SWITCH)
        self.assertEqual((box.name, box.cpu, box.smp, box.memory),
                         ("x", "max", 2, 768 << 20))
        self.assertEqual(box.device("src").settings["cmb"], 64 << 20)
        self.assertEqual(box.namespace_id("src"), 1)
        self.assertEqual(box.roles_of("src"), ["provider"])

    def test_not_toml(self):
        self.refused("summary = ", "not a TOML file")

    def test_unknown_top_key(self):
        self.refused("color = 1\n" + SWITCH, "unknown key 'color'")

    def test_wrong_kind_of_value(self):
        self.refused('smp = "two"\n' + SWITCH, "'smp' must be a int")
        self.refused("smp = true\n" + SWITCH, "'smp' must be a int")

    def test_unknown_device_key(self):
        self.refused(SWITCH + "cbm = 1\n", "device src", "unknown key 'cbm'")

    def test_key_of_another_type(self):
        self.refused(SWITCH + "acs = true\n", "device src", "'acs'")

    def test_unknown_type(self):
        self.refused(SWITCH.replace('"nvme"', '"nvram"'), "device src",
                     "unknown type 'nvram'", "nvme")

    def test_missing_disk(self):
        self.refused(SWITCH.replace('disk = "32M"', ""), "'disk' is missing")

    def test_bad_size(self):
        self.refused(SWITCH.replace('"64M"', '"64 MB"'), "device src",
                     "'cmb'", "64 MB")

    def test_name_taken(self):
        self.refused(SWITCH.replace('name = "src"', 'name = "dn0"'),
                     "is taken by another device")

    def test_below_unknown(self):
        self.refused(SWITCH.replace('below = "dn0"', 'below = "dn7"'),
                     "device src", 'below = "dn7"')

    def test_below_an_endpoint(self):
        self.refused(SWITCH + '[[device]]\ntype = "edu"\nname = "e"\n'
                     'below = "src"\n', "nothing can be plugged into 'src'")

    def test_endpoint_directly_below_switch(self):
        self.refused(SWITCH.replace('below = "dn0"', 'below = "sw0"'),
                     "switch ports, and only they")

    def test_room_in_a_port_that_has_none(self):
        self.refused(SWITCH.replace('below = "sw0"',
                                    'below = "sw0"\nroom = "32M"'),
                     "device dn0", "'room' needs acs")

    def test_role_without_device(self):
        self.refused(SWITCH.replace('provider = "src"', 'provider = "x"'),
                     "roles", "no device")

    def test_unknown_role(self):
        self.refused(SWITCH.replace("provider =", "producer ="),
                     "unknown key 'producer'")

    def test_route_without_distance(self):
        self.refused(SWITCH + ROUTE.replace("distance = 0", ""),
                     "route 1", "'distance' is missing")

    def test_unsupported_needs_no_distance(self):
        text = ROUTE.replace("distance = 0", "").replace("bus-address",
                                                         "unsupported")
        box = machine.parse("x.toml", SWITCH + text)
        self.assertIsNone(box.routes[0].distance)

    def test_unknown_route_type(self):
        self.refused(SWITCH + ROUTE.replace("bus-address", "tunnel"),
                     "unknown type 'tunnel'")

    def test_route_to_unknown(self):
        self.refused(SWITCH + ROUTE.replace('client = "src"',
                                            'client = "dst"'),
                     "route 1", 'client = "dst"')

    def test_route_from_what_has_no_memory(self):
        text = SWITCH.replace('cmb = "64M"\n', "")
        self.refused(text + ROUTE, 'provider = "src"', "can be a provider")

    def test_route_with_unknown_port(self):
        self.refused(SWITCH + ROUTE + 'port = "dn7"\n', "route 1", "dn7")

    def test_route_twice(self):
        self.refused(SWITCH + ROUTE + ROUTE.replace('"src"', '"*"'),
                     "route 2", "in the file already")

    def test_functions(self):
        text = SWITCH.replace('disk = "32M"',
                              'disk = "32M"\nslot = 0\nfunctions = 3\n')
        text = text.replace('provider = "src"', 'provider = "src1"')
        box = machine.parse("x.toml", text + ROUTE.replace(
            'provider = "src"', 'provider = "src1"').replace(
            'client = "src"', 'client = "src[02]"'))
        self.assertEqual([drive.name for drive in box.drives()],
                         ["src0", "src1", "src2"])
        self.assertEqual([drive.place for drive in box.drives()],
                         ["0.0", "0.1", "0.2"])
        self.assertEqual([(route.provider, route.client)
                          for route in box.routes],
                         [("src1", "src0"), ("src1", "src2")])

    def test_too_many_functions(self):
        self.refused(SWITCH + "slot = 0\nfunctions = 9\n", "2 to 8")
        self.refused(SWITCH + "functions = 2\n", "'slot' is missing")
        self.refused(SWITCH + "slot = 0\nfunction = 1\nfunctions = 2\n",
                     "exclude")

    def test_name_of_a_function_taken(self):
        self.refused(SWITCH + '[[device]]\ntype = "nvme"\nname = "sr"\n'
                     'disk = "1M"\nslot = 9\nfunctions = 2\n[[device]]\n'
                     'type = "edu"\nname = "sr1"\n', "device sr1", "taken")

    def test_later(self):
        text = SWITCH + LATER
        box = machine.parse("x.toml", text)
        # QEMU gives it the first namespace number
        self.assertEqual(box.namespace_id("spare"), 1)
        self.assertEqual(box.namespace_id("src"), 2)
        self.refused(text + 'below = "dn0"\n', "'below' makes no sense")
        self.refused(text + LATER.replace("spare", "third"), "only one drive")
        self.refused(text + ROUTE.replace('client = "src"',
                                          'client = "spare"'),
                     'client = "spare"')

    def test_path(self):
        box = machine.parse("x.toml", SWITCH + PATH)
        self.assertEqual(box.device("two").image, 0)
        self.assertTrue(box.has_paths("src"))
        self.assertFalse(box.has_paths("two"))
        self.refused(SWITCH + PATH + 'disk = "1M"\n', "device two",
                     "'disk' and 'path-to' exclude")
        for name in ("rp0", "third"):
            self.refused(SWITCH + PATH.replace('"src"', f'"{name}"'),
                         "device two", f'path-to = "{name}"')
        self.refused(SWITCH + PATH + PATH.replace("two", "three")
                     .replace('"src"', '"two"'), "device three")

    def test_unknown_machine(self):
        with self.assertRaises(LabError) as caught:
            machine.load(context.LAB / "machines", "nonesuch")
        self.assertIn("switch", str(caught.exception))

    def test_all_machine_files(self):
        directory = context.LAB / "machines"
        self.assertIn("switch", machine.names(directory))
        boxes = [machine.load(directory, name)
                 for name in machine.names(directory)]
        partners = [box.partner for box in boxes]
        for box in boxes:
            name = box.name
            self.assertTrue(box.scenarios or name in partners, name)
            for scenario in box.scenarios:
                path = context.LAB / "scenarios" / scenario
                self.assertTrue(path.is_file(), f"{name}: {scenario}")
            self.assertLessEqual(box.memory, 1200 << 20, name)


class Options(unittest.TestCase):
    def test_namespace_numbers_differ(self):
        text = SWITCH + ('[[device]]\ntype = "nvme"\nname = "dst"\n'
                         'disk = "32M"\n')
        found = options(text)
        self.assertIn("nvme-ns,bus=src,drive=src-disk,nsid=1,", found)
        self.assertIn("nvme-ns,bus=dst,drive=dst-disk,nsid=2,", found)

    def test_switch(self):
        found = options(SWITCH)
        self.assertIn("x3130-upstream,id=sw0,bus=rp0", found)
        self.assertIn("xio3130-downstream,id=dn0", found)
        self.assertIn("cmb_size_mb=64", found)

    def test_acs_port(self):
        text = SWITCH.replace('below = "sw0"', 'below = "sw0"\nacs = true')
        self.assertIn("pcie-root-port,id=dn0", options(text))

    def test_room_in_a_port(self):
        text = SWITCH.replace('below = "sw0"',
                              'below = "sw0"\nacs = true\nroom = "32M"')
        self.assertIn(f",pref64-reserve={32 << 20},",
                      options(text))

    def test_later(self):
        box = machine.parse("x.toml", SWITCH + LATER)
        found = " ".join(machine.qemu_options(
            box, {"src": "src.img", "spare": "spare.img"}))
        self.assertIn("node-name=spare-disk", found)
        self.assertNotIn("id=spare", found)
        self.assertIn("bridge-support=off", found)
        self.assertNotIn("bridge-support=off", options(SWITCH))
        arguments = machine.plug_arguments(box.device("spare"), "dn0")
        self.assertEqual((arguments["bus"], arguments["drive"],
                          arguments["cmb_size_mb"]),
                         ("dn0", "spare-disk", 16))

    def test_path(self):
        found = options(SWITCH + PATH)
        self.assertIn("-device nvme-subsys,id=src-subsystem -device "
                      "nvme,id=src,serial=src,cmb_size_mb=64,"
                      "subsys=src-subsystem,", found)
        self.assertIn("nvme-ns,bus=src,drive=src-disk,nsid=1,shared=on",
                      found)
        self.assertIn("nvme,id=two,serial=src,cmb_size_mb=0,"
                      "subsys=src-subsystem,", found)
        self.assertNotIn("drive=two", found)
        self.assertNotIn("subsys", options(SWITCH))

    def test_iommu_comes_before_the_devices(self):
        found = options(SWITCH + '[iommu]\nmodel = "intel"\n'
                        'options = "intremap=on"\n')
        self.assertIn("kernel-irqchip=split", found)
        self.assertLess(found.index("intel-iommu,intremap=on"),
                        found.index("pcie-root-port"))

    def test_second_host_bridge(self):
        found = options('summary = "a test"\n[[device]]\n'
                        'type = "host-bridge"\nname = "hb1"\n'
                        'bus-number = 64\n[[device]]\ntype = "pci-bridge"\n'
                        'name = "pb0"\nbelow = "hb1"\n[[device]]\n'
                        'type = "edu"\nname = "e0"\nbelow = "pb0"\n'
                        'slot = 3\nfunction = 1\n')
        self.assertIn("pxb-pcie,id=hb1,bus_nr=64", found)
        self.assertIn("pcie-pci-bridge,id=pb0,bus=hb1", found)
        self.assertIn("edu,id=e0,dma_mask=0xffffffffffffffff,bus=pb0,"
                      "addr=3.1,multifunction=on", found)

    def test_other_endpoints(self):
        found = options('summary = "a test"\n[[device]]\n'
                        'type = "ivshmem"\nname = "m0"\nmemory = "8M"\n'
                        '[[device]]\ntype = "e1000e"\nname = "n0"\n')
        self.assertIn("memory-backend-ram,id=m0-memory,share=on", found)
        self.assertIn("ivshmem-plain,id=m0,memdev=m0-memory", found)
        self.assertIn("e1000e,id=n0,netdev=n0-net", found)

    def test_drives_with_metadata_have_whole_pages(self):
        text = ('summary = "a test"\n[[device]]\ntype = "nvme"\n'
                'name = "d0"\ndisk = "16M"\n')
        size = machine.parse("x.toml", text).device("d0").image
        self.assertEqual(size, 16 << 20)
        for metadata in (8, 16, 64):
            with self.subTest(metadata):
                box = machine.parse("x.toml",
                                    f"{text}metadata = {metadata}\n")
                size = box.device("d0").image
                blocks = size // (512 + metadata)
                self.assertEqual(blocks % 8, 0)
                self.assertEqual(size, blocks * (512 + metadata))
                self.assertGreater(size, 15 << 20)

    def test_memory_in_a_file(self):
        box = machine.parse("x.toml", 'summary = "a test"\n[[device]]\n'
                            'type = "ivshmem"\nname = "m0"\n'
                            'memory = "8M"\nfile = true\n')
        self.assertEqual(box.device("m0").image, 8 << 20)
        self.assertIn("memory-backend-file,mem-path=m0.img,id=m0-memory,"
                      "share=on,size=8388608",
                      " ".join(machine.qemu_options(box, {"m0": "m0.img"})))


if __name__ == "__main__":
    unittest.main()
