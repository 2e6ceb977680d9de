# Builds the peers that need a broker: `make -f net.mk BUILD=DIR`. A peer whose library is missing is skipped.
BUILD ?= build
CFLAGS = -O3 -march=native -Wall -Wextra -Werror

all: redis nats

# $(call peer,NAME,HEADER,PACKAGE,LIBRARIES)
define peer
.PHONY: $(1)
ifneq ($$(wildcard /usr/include/$(2)),)
$(1): $$(BUILD)/$(1)
$$(BUILD)/$(1): $(1).c peer.h credit.h | $$(BUILD)
	$$(CC) $$(CFLAGS) -o $$@ $$< $(4)
else
$(1):
	@echo skipped $(1): needs $(3)
endif
endef

$(eval $(call peer,redis,hiredis/hiredis.h,libhiredis-dev,-lhiredis))
$(eval $(call peer,nats,nats/nats.h,libnats-dev,-lnats))

$(BUILD):
	mkdir -p $@

.PHONY: all
