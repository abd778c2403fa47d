with

customers as (

    select * from {{ ref('stg_retail__customers') }}

    where customer_id <> -1

),

known_customers as (

    select
        customer_id,
        {{ full_name() }} as full_name,
        first_name,
        last_name,
        address,
        pincode,
        phone_number,
        joining_date,
        true as is_known

    from customers

),

unknown_member as (

    select
        -1 as customer_id,
        {{ unknown_label() }} as full_name,
        {{ unknown_label() }} as first_name,
        cast(null as string) as last_name,
        {{ unknown_label() }} as address,
        {{ unknown_label() }} as pincode,
        {{ unknown_label() }} as phone_number,
        cast(null as date) as joining_date,
        false as is_known

),

dim_customers as (

    select * from known_customers
    union all
    select * from unknown_member

)

select * from dim_customers
