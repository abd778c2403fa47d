with

stores as (

    select * from {{ ref('stg_retail__stores') }}

    where store_id <> -1

),

known_stores as (

    select
        store_id,
        address,
        pincode,
        manager_name,
        opening_date,
        reviews,
        true as is_known

    from stores

),

unknown_member as (

    select
        -1 as store_id,
        {{ unknown_label() }} as address,
        {{ unknown_label() }} as pincode,
        {{ unknown_label() }} as manager_name,
        cast(null as date) as opening_date,
        cast(null as string) as reviews,
        false as is_known

),

dim_stores as (

    select * from known_stores
    union all
    select * from unknown_member

)

select * from dim_stores
